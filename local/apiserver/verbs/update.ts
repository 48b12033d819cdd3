import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { cloneJson, equalJson, type JsonObject, listAt } from "../json.ts";
import { type ApiObject, desiredFields } from "../object.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { badRequest, conflict, modified, notFound } from "../status.ts";
import { StaleError } from "../storage/store.ts";
import { keepIdentity } from "./create.ts";
import { applySchema, decode, judgeUnknownFields } from "./decode.ts";
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
  const { resource, version } = target;
  const old = inVersion(stored, target);
  const unknown: string[] = [];
  const body = change(cloneJson(old));
  let object = decode(body, target, (path) => unknown.push(path));
  judgeUnknownFields(unknown, options.fieldValidation, options.warnings, target);
  checkIdentity(target, object, old);
  keepIdentity(object, old.metadata);
  if (target.subresource === "status") object = withStatusOf(old, object);
  resource.strategy.setDefaults?.(object);
  const admission = { operation: "UPDATE" as const, target, user: options.user, dryRun: options.dryRun };
  object = await context.admission.mutate({ ...admission, object, old }, options.warnings);
  keepIdentity(object, old.metadata);
  if (target.subresource === "status") object = withStatusOf(old, object);
  applySchema(object, target, () => undefined);
  resource.strategy.setDefaults?.(object);
  if (target.subresource === undefined) {
    resource.strategy.prepareForUpdate?.(object, old);
    if (resource.custom && version.status) keepStatus(object, old);
  }
  if (
    resource.strategy.countsGeneration !== false &&
    !equalJson(specOf(object, target), specOf(old, target))
  ) {
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
  validateObject(target, object, old);
  await context.admission.validate({ ...admission, object, old }, options.warnings);
  if (options.dryRun || equalJson(object, old)) return object;
  const expected = { resourceVersion: stored.metadata.resourceVersion };
  if (mayGo(object)) return context.store.remove(storeName(resource), object, expected);
  return (await context.store.put(storeName(resource), toStorage(object, target), expected)).object;
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

/** The object as the target's version shows it (conversion among versions is by name only). */
export function inVersion(
  object: ApiObject,
  { resource, version }: Pick<Target, "resource" | "version">,
): ApiObject {
  const apiVersion = groupVersion(resource.group, version.name);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

function toStorage(object: ApiObject, { resource }: Target): ApiObject {
  const apiVersion = groupVersion(resource.group, resource.storageVersion);
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion };
}

function specOf(object: ApiObject, { version, resource }: Target): JsonObject {
  // Without a status subresource, a custom resource's status counts like any other field.
  return resource.custom && !version.status
    ? { ...desiredFields(object), status: object.status }
    : desiredFields(object);
}

function withStatusOf(old: ApiObject, { status }: ApiObject): ApiObject {
  const object = cloneJson(old);
  if (status === undefined) delete object.status;
  else object.status = status;
  return object;
}

function keepStatus(object: ApiObject, old: ApiObject): void {
  if (old.status === undefined) delete object.status;
  else object.status = old.status;
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
      `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: ${old.metadata.uid}`,
    );
  }
  if (metadata.resourceVersion !== "" && metadata.resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(resource, name, modified);
  }
}
