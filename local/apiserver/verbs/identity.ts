import type { Target } from "../context.ts";
import type { ApiObject } from "../object.ts";
import { decode } from "./decode.ts";

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

/** An object that a webhook has changed, read and defaulted once more under its own identity. */
export function reread(changed: ApiObject, target: Target, identity: ApiObject["metadata"]): ApiObject {
  const object = decode(changed, target, () => undefined);
  keepIdentity(object, identity);
  target.resource.strategy.setDefaults?.(object);
  return object;
}
