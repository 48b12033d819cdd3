import { checkEscalation } from "../authorization/escalation.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import { cloneJson, equalJson, isObject, type JsonObject, listAt } from "../json.ts";
import { trackedKind, writerOf } from "../managed-fields/kind.ts";
import { trackUpdate } from "../managed-fields/track.ts";
import { type ApiObject, desiredFields } from "../object.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { badRequest, conflict, invalid, modified, notFound } from "../status.ts";
import { StaleError } from "../storage/store.ts";
import { decode, judgeUnknownFields, UnreadableError } from "./decode.ts";
import { keepIdentity, reread } from "./identity.ts";
import { validateObject } from "./validate.ts";

/** Makes the wanted object from the current one, which it may change: it is a copy. */
export type Change = (current: ApiObject) => unknown;

const attempts = 6;

/**
 * Replaces an object by what `change` makes of it. Where `change` names no resourceVersion, a
 * concurrent write makes it start again from the newer object. Resolves when it is durable.
 */
export async function updateObject(
  context: ApiContext,
  target: Target,
  change: Change,
  options: WriteOptions,
): Promise<ApiObject> {
  const { resource } = target;
  const name = target.name ?? "";
  for (let attempt = 1; ; attempt++) {
    const stored = context.store.get(storeName(resource), target.namespace, name)?.object;
    if (stored === undefined) throw notFound(resource, name);
    try {
      return await updateOnce(context, target, stored, change, options);
    } catch (error) {
      if (!(error instanceof StaleError)) throw error;
      if (error.found === undefined) throw notFound(resource, name);
      if (attempt >= attempts) throw conflict(resource, name, modified);
    }
  }
}

async function updateOnce(
  context: ApiContext,
  target: Target,
  stored: ApiObject,
  change: Change,
  options: WriteOptions,
): Promise<ApiObject> {
  const { resource } = target;
  const old = inVersion(stored, target);
  const unknown: string[] = [];
  const changed = change(cloneJson(old));
  let object = decodeChanged(changed, target, options, (path) => unknown.push(path));
  judgeUnknownFields(unknown, options, target, changed);
  checkIdentity(target, object, old);
  keepIdentity(object, old.metadata);
  resource.strategy.setDefaults?.(object);
  if (options.applied !== true) {
    trackUpdate(old, object, writerOf(target, options, context.now()), trackedKind(target));
  }
  const admission = {
    operation: "UPDATE" as const,
    target,
    user: options.user,
    dryRun: options.dryRun,
    options: options.given ?? {},
  };
  const admitted = await context.admission.mutate({ ...admission, object, old }, options.warnings, {
    reread: (changed) => reread(changed, target, old.metadata),
    readmit: () => undefined,
  });
  object = admitted ?? object;
  prepare(target, object, old);
  checkEscalation(context.store, options.user, target, object, old);
  validateObject(target, object, old);
  if (target.subresource === undefined)
    options.warnings.push(...(resource.strategy.warnings?.(object, old) ?? []));
  await context.admission.validate({ ...admission, object, old }, options.warnings);
  keepTimesOfManagers(object, old);
  if (equalJson(object, old)) return old;
  if (options.dryRun) return object;
  const expected = { resourceVersion: stored.metadata.resourceVersion };
  if (mayGo(object)) return context.store.remove(storeName(resource), toStorage(object, target), expected);
  const entry = await context.store.put(storeName(resource), toStorage(object, target), expected);
  return inVersion(entry.object, target);
}

/** Reads the changed object. What a patch has made unreadable is a fault of the patch. */
function decodeChanged(
  body: unknown,
  target: Target,
  { patched }: WriteOptions,
  report: (path: string) => void,
): ApiObject {
  try {
    return decode(body, target, report);
  } catch (error) {
    if (patched === undefined || !(error instanceof UnreadableError)) throw error;
    const value = JSON.stringify(body);
    throw invalid({ group: "", kind: "" }, "", [invalidValue("patch", value, error.why)]);
  }
}

/** Carries over what the endpoint does not write, and counts the generation. Changes `object`. */
function prepare(target: Target, object: ApiObject, old: ApiObject): void {
  const { resource, version, subresource } = target;
  if (subresource === "status") keepOutsideStatus(target, object, old);
  else {
    resource.strategy.prepareForUpdate?.(object, old);
    if (resource.custom && version.status) keepStatus(object, old);
  }
  const counts = resource.strategy.countsGeneration !== false;
  if (counts && !equalJson(specOf(object, target), specOf(old, target))) {
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
}

/** Through the status endpoint only status is written, and of a built-in kind its labels and annotations. */
function keepOutsideStatus({ resource }: Target, object: ApiObject, old: ApiObject): void {
  for (const name of Object.keys(object))
    if (name !== "status" && name !== "metadata" && !Object.hasOwn(old, name)) delete object[name];
  for (const name of Object.keys(old)) if (name !== "status" && name !== "metadata") object[name] = old[name];
  const { managedFields } = object.metadata;
  if (resource.custom) {
    object.metadata = { ...old.metadata };
    if (managedFields === undefined) delete object.metadata.managedFields;
    else object.metadata.managedFields = managedFields;
  }
}

/** Where only the times of managers have moved, nothing has changed. */
function keepTimesOfManagers(object: ApiObject, old: ApiObject): void {
  const timeless = ({ metadata }: ApiObject) =>
    (metadata.managedFields ?? []).map((entry) => (isObject(entry) ? { ...entry, time: "" } : entry));
  if (!equalJson(timeless(object), timeless(old))) return;
  const withOldTimes = { ...object, metadata: { ...object.metadata } };
  if (old.metadata.managedFields === undefined) return;
  withOldTimes.metadata.managedFields = old.metadata.managedFields;
  if (equalJson(withOldTimes, old)) object.metadata = withOldTimes.metadata;
}

/** A deleted object whose last finalizer has gone is removed by the write that took it. */
export function mayGo({ metadata, spec }: ApiObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    (metadata.finalizers ?? []).length === 0 &&
    listAt(spec, "finalizers").length === 0
  );
}

/** The stored object as the target's version shows it. Conversion among a CRD's versions is by name only. */
export function inVersion(
  object: ApiObject,
  { resource, version }: Pick<Target, "resource" | "version">,
): ApiObject {
  const apiVersion = groupVersion(resource.group, version.name);
  if (object.apiVersion === apiVersion) return object;
  return version.conversion?.fromStored(object) ?? { ...object, apiVersion };
}

/** The object as it is stored. */
export function toStorage(
  object: ApiObject,
  { resource, version }: Pick<Target, "resource" | "version">,
): ApiObject {
  if (version.conversion !== undefined) return version.conversion.toStored(object);
  const apiVersion = groupVersion(resource.group, resource.storageVersion);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

function specOf(object: ApiObject, { version, resource }: Target): JsonObject {
  // Without a status subresource, a custom resource's status counts like any other field.
  return resource.custom && !version.status
    ? { ...desiredFields(object), status: object.status }
    : desiredFields(object);
}

function keepStatus(object: ApiObject, old: ApiObject): void {
  if (old.status === undefined) delete object.status;
  else object.status = old.status;
}

/** Where Kubernetes would keep the object in etcd. */
function storagePath({ group, plural, custom }: Target["resource"], { metadata }: ApiObject): string {
  const parts = [...(custom ? [group] : []), plural, metadata.namespace ?? "", metadata.name];
  return parts.filter((part) => part !== "").join("/");
}

function checkIdentity({ resource, name = "" }: Target, { metadata }: ApiObject, old: ApiObject): void {
  metadata.name ||= name;
  if (metadata.name !== name) {
    throw badRequest(
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  }
  if (resource.namespaced) {
    metadata.namespace ??= old.metadata.namespace ?? "";
    if (metadata.namespace !== old.metadata.namespace) {
      throw badRequest(
        "the namespace of the provided object does not match the namespace sent on the request",
      );
    }
  }
  if (metadata.uid !== "" && metadata.uid !== old.metadata.uid) {
    throw conflict(
      resource,
      name,
      `StorageError: invalid object, Code: 4, Key: /registry/${storagePath(resource, old)}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  if (
    metadata.resourceVersion === "" &&
    (resource.custom || resource.strategy.updatesByVersionOnly === true)
  ) {
    throw invalid({ group: resource.group, kind: resource.plural }, name, [
      {
        type: "FieldValueInvalid",
        field: "metadata.resourceVersion",
        message: "Invalid value: 0: must be specified for an update",
      },
    ]);
  }
  if (metadata.resourceVersion !== "" && metadata.resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(resource, name, modified);
  }
}
