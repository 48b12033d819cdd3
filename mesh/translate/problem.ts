import type { Problem, ResourceRef } from "../../api/resource.ts";

/** Collects what cannot be carried out of one object, with JSON Pointers below `at`. */
export interface Report {
  /** Tells of `field` below this place. */
  problem(field: string, message: string): void;
  /** The same object, one place deeper. */
  at(...path: readonly (string | number)[]): Report;
}

export function reportOn(resource: ResourceRef, problems: Problem[], pointer = ""): Report {
  const escape = (part: string | number) => String(part).replaceAll("~", "~0").replaceAll("/", "~1");
  return {
    problem(field, message) {
      problems.push({ resource, field: field === "" ? pointer : `${pointer}/${escape(field)}`, message });
    },
    at: (...path) => reportOn(resource, problems, [pointer, ...path.map(escape)].join("/")),
  };
}
