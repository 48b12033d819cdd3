import type { ApiObject } from "../object.ts";

/** A webhook may not change what names the object. */
export function keepIdentity(object: ApiObject, identity: ApiObject["metadata"]): void {
  const { metadata } = object;
  for (const field of [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
  ]) {
    if (identity[field] === undefined) delete metadata[field];
    else metadata[field] = identity[field];
  }
}
