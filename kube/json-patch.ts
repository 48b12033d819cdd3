import type { KubeObject } from "../api/resource.ts";
import type { JsonPatchOperation } from "./contract.ts";

/** One part of a JSON Pointer, escaped. @see RFC 6901 §3 */
function escapePointer(part: string | number): string {
  return String(part).replaceAll("~", "~0").replaceAll("/", "~1");
}

/** A JSON Pointer of its parts, e.g. `/metadata/annotations/fairlead.dev~1run`. */
export function pointer(...parts: readonly (string | number)[]): string {
  return parts.map((part) => `/${escapePointer(part)}`).join("");
}

/** Holds the patch back where somebody else has written since `object` was read. */
export function testVersion({ metadata }: KubeObject): JsonPatchOperation {
  return { op: "test", path: "/metadata/resourceVersion", value: metadata.resourceVersion };
}

/**
 * Sets annotations, or removes those given as undefined.
 *
 * @param object as it was read: an add needs the map to be there, a remove the entry
 */
export function annotationOperations(
  { metadata }: KubeObject,
  changes: Readonly<Record<string, string | undefined>>,
): readonly JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = [];
  const present = metadata.annotations;
  const given = Object.entries(changes);
  if (present === undefined && given.some(([, value]) => value !== undefined)) {
    operations.push({ op: "add", path: "/metadata/annotations", value: {} });
  }
  for (const [name, value] of given) {
    const path = pointer("metadata", "annotations", name);
    if (value !== undefined) operations.push({ op: "add", path, value });
    else if (present !== undefined && Object.hasOwn(present, name)) operations.push({ op: "remove", path });
  }
  return operations;
}

/** One weighted destination of a route, by its place in the object. */
export interface WeightedDestination {
  /** Of the entry that holds `weight`, e.g. `/spec/http/0/route/1`. */
  readonly path: string;
  /** Of the field that names the destination, below `path`, e.g. `/destination/host` or `/name`. */
  readonly nameField: string;
  /** What stands there now: another name there means that the user changed the route, and the patch must not hit it. */
  readonly name: string;
  readonly weight: number;
}

/**
 * Sets the weights of a route: first a test of every destination's name, then all weights at once.
 *
 * Put {@link testVersion} before it where the step must not overwrite another's write; a rollback does without.
 */
export function weightOperations(
  destinations: readonly WeightedDestination[],
): readonly JsonPatchOperation[] {
  return [
    ...destinations.map(({ path, nameField, name }) => ({
      op: "test" as const,
      path: path + nameField,
      value: name,
    })),
    // `add` replaces a member that is there and makes one that is not: an absent weight is valid.
    ...destinations.map(({ path, weight }) => ({
      op: "add" as const,
      path: `${path}/weight`,
      value: weight,
    })),
  ];
}
