/** Where two normalised answers differ, and which of these differences are accepted. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

export interface Difference {
  /** e.g. `body.metadata.labels.app`, list indexes as names. */
  readonly path: string;
  readonly embedded: unknown;
  readonly real: unknown;
}

/** A difference that is meant, with its reason. */
interface Accepted {
  readonly id: string;
  readonly reason: string;
  /** Regular expressions, from start to end: `scenario: step`, and the path of the difference. */
  readonly where: string;
  readonly path: string;
}

/** Every place where the two differ. An absent field differs from null. */
export function differences(embedded: unknown, real: unknown, path = ""): Difference[] {
  if (Object.is(embedded, real)) return [];
  if (!isTree(embedded) || !isTree(real) || Array.isArray(embedded) !== Array.isArray(real))
    return [{ path, embedded, real }];
  const names = new Set([...Object.keys(embedded), ...Object.keys(real)]);
  return [...names].flatMap((name) =>
    differences(
      Reflect.get(embedded, name),
      Reflect.get(real, name),
      path === "" ? name : `${path}.${name.replaceAll(".", "\\.")}`,
    ),
  );
}

function isTree(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The accepted differences; each is to be met in a whole run, or it has no reason to stand there. */
export class AcceptedDifferences {
  readonly #list: readonly (Accepted & { readonly at: RegExp; readonly field: RegExp })[];
  readonly #met = new Set<string>();

  constructor() {
    const file = join(import.meta.dirname, "differences.yaml");
    const list = (parse(readFileSync(file, "utf8")) ?? []) as Accepted[];
    this.#list = list.map((entry) => ({
      ...entry,
      at: new RegExp(`^(?:${entry.where})$`),
      field: new RegExp(`^(?:${entry.path})$`),
    }));
    if (list.length > 15) throw new Error(`${list.length} accepted differences: 15 at most`);
  }

  /** Those that are not accepted. */
  left(step: string, found: readonly Difference[]): Difference[] {
    return found.filter(({ path }) => {
      const entry = this.#list.find(({ at, field }) => at.test(step) && field.test(path));
      if (entry !== undefined) this.#met.add(entry.id);
      return entry === undefined;
    });
  }

  /** The ids of those that no answer had. */
  unmet(): string[] {
    return this.#list.map(({ id }) => id).filter((id) => !this.#met.has(id));
  }
}
