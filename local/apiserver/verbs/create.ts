import { randomInt, randomUUID } from "node:crypto";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { type ApiObject, timestamp } from "../object.ts";
import { storeName } from "../resources/resource.ts";
import { alreadyExists, badRequest, forbidden, notFound, StatusError } from "../status.ts";
import { StaleError } from "../storage/store.ts";
import { applySchema, decode, judgeUnknownFields } from "./decode.ts";
import { validateObject } from "./validate.ts";

/** Creates an object: defaults, admission, validation, then the store. Resolves when it is durable. */
export async function createObject(
  context: ApiContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
): Promise<ApiObject> {
  const { resource } = target;
  const unknown: string[] = [];
  let object = decode(body, target, (path) => unknown.push(path));
  judgeUnknownFields(unknown, options.fieldValidation, options.warnings, target);
  if (object.metadata.resourceVersion !== "")
    throw badRequest("resourceVersion should not be set on objects to be created");
  placeInNamespace(context, target, object);
  prepareMetadata(context, target, object);
  resource.strategy.setDefaults?.(object);
  resource.strategy.admit?.(object);
  if (context.store.get(storeName(resource), object.metadata.namespace, object.metadata.name) !== undefined) {
    throw alreadyExists(resource, object.metadata.name);
  }
  const admission = { operation: "CREATE" as const, target, user: options.user, dryRun: options.dryRun };
  const identity = { ...object.metadata };
  object = await context.admission.mutate({ ...admission, object, old: undefined }, options.warnings);
  keepIdentity(object, identity);
  applySchema(object, target, () => undefined);
  resource.strategy.setDefaults?.(object);
  resource.strategy.prepareForCreate?.(object);
  if (resource.custom && target.version.status) delete object.status;
  validateObject(target, object, undefined);
  await context.admission.validate({ ...admission, object, old: undefined }, options.warnings);
  if (options.dryRun) return object;
  try {
    return (await context.store.put(storeName(resource), object, "absent")).object;
  } catch (error) {
    if (error instanceof StaleError) throw alreadyExists(resource, object.metadata.name);
    throw error;
  }
}

function placeInNamespace(context: ApiContext, { resource, namespace }: Target, object: ApiObject): void {
  if (!resource.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  object.metadata.namespace ??= namespace ?? "default";
  if (namespace !== undefined && object.metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  const holder = context.store.get("namespaces", undefined, object.metadata.namespace)?.object;
  if (holder === undefined) throw notFound({ group: "", plural: "namespaces" }, object.metadata.namespace);
  if (holder.metadata.deletionTimestamp === undefined) return;
  const { code, reason, message, details } = forbidden(
    resource,
    object.metadata.name,
    `unable to create new content in namespace ${object.metadata.namespace} because it is being terminated`,
  );
  throw new StatusError(code, reason, message, {
    ...details,
    causes: [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${object.metadata.namespace} is being terminated`,
        field: "metadata.namespace",
      },
    ],
  });
}

const suffixAlphabet = "bcdfghjklmnpqrstvwxz2456789";

/** `prefix` and five characters, cut to 63 in all. */
function generateName(prefix: string): string {
  let suffix = "";
  for (let index = 0; index < 5; index++) suffix += suffixAlphabet[randomInt(suffixAlphabet.length)];
  return `${prefix.slice(0, 58)}${suffix}`;
}

function prepareMetadata(context: ApiContext, { resource }: Target, { metadata }: ApiObject): void {
  if (metadata.name === "" && metadata.generateName !== undefined && metadata.generateName !== "") {
    metadata.name = generateName(metadata.generateName);
  }
  metadata.uid = randomUUID();
  metadata.creationTimestamp = timestamp(context.now());
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
  if (resource.strategy.countsGeneration !== false) metadata.generation = 1;
}

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
