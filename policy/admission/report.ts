import { type KubeObject, type Problem, refOf } from "../../api/resource.ts";
import type { CheckValue } from "./values.ts";

/** Collects what is wrong with an object. */
export class Report {
  readonly problems: Problem[] = [];
  private readonly object: KubeObject;

  constructor(object: KubeObject) {
    this.object = object;
  }

  error(field: string, message: string): void {
    this.problems.push({ resource: refOf(this.object), field, message });
  }

  warning(field: string, message: string): void {
    this.problems.push({ resource: refOf(this.object), field, message, severity: "warning" });
  }

  /** Checks each value of a list. */
  values(values: unknown, pointer: string, check: CheckValue): void {
    if (!Array.isArray(values)) return;
    for (const [index, value] of values.entries()) {
      const finding = check(String(value));
      if (finding === undefined) continue;
      if (finding.warning) this.warning(`${pointer}/${index}`, finding.message);
      else this.error(`${pointer}/${index}`, finding.message);
    }
  }
}
