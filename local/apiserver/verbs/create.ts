import { randomInt, randomUUID } from "node:crypto";
import { checkEscalation } from "../authorization/escalation.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { trackedKind, writerOf } from "../managed-fields/kind.ts";
import { trackUpdate } from "../managed-fields/track.ts";
import { type ApiObject, timestamp } from "../object.ts";
import { storeName } from "../resources/resource.ts";
import { alreadyExists, badRequest, forbidden, notFound, StatusError, unforeseen } from "../status.ts";
import { StaleError } from "../storage/store.ts";
import { decode, judgeUnknownFields } from "./decode.ts";
import { reread } from "./identity.ts";
import { inVersion, toStorage } from "./update.ts";
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
  judgeUnknownFields(unknown, options, target);
  if (object.metadata.resourceVersion !== "")
    throw unforeseen("resourceVersion should not be set on objects to be created");
  placeInNamespace(target, object);
  resource.strategy.setDefaults?.(object);
  if (options.applied !== true) {
    trackUpdate(undefined, object, writerOf(target, options, context.now()), trackedKind(target));
  }
  checkNamespace(context, target, object);
  prepareMetadata(context, target, object);
  const there = context.store.get(storeName(resource), object.metadata.namespace, object.metadata.name);
  if (there !== undefined) throw refuseSecond(resource, there.object);
  resource.strategy.admit?.(object, context.store);
  const admission = {
    operation: "CREATE" as const,
    target,
    user: options.user,
    dryRun: options.dryRun,
    options: options.given ?? {},
  };
  const identity = { ...object.metadata };
  const asked = { ...admission, object, old: undefined };
  const admitted = await context.admission.mutate(asked, options.warnings, {
    reread: (changed) => reread(changed, target, identity),
    readmit: (changed) => resource.strategy.admit?.(changed, context.store),
  });
  object = admitted ?? object;
  resource.strategy.prepareForCreate?.(object);
  if (resource.custom && target.version.status) delete object.status;
  checkEscalation(context.store, options.user, target, object, undefined);
  validateObject(target, object, undefined);
  options.warnings.push(...(resource.strategy.warnings?.(object, undefined) ?? []));
  await context.admission.validate({ ...admission, object, old: undefined }, options.warnings);
  if (options.dryRun) return withoutVersion(object);
  try {
    const entry = await context.store.put(storeName(resource), toStorage(object, target), "absent");
    return inVersion(entry.object, target);
  } catch (error) {
    if (error instanceof StaleError) throw alreadyExists(resource, object.metadata.name);
    throw error;
  }
}

function refuseSecond(resource: Target["resource"], { metadata }: ApiObject): StatusError {
  const refusal = alreadyExists(resource, metadata.name);
  if (metadata.deletionTimestamp === undefined) return refusal;
  const { code, reason, message, details } = refusal;
  return new StatusError(code, reason, `object is being deleted: ${message}`, details);
}

/** What was never stored has no version. */
function withoutVersion(object: ApiObject): ApiObject {
  const { resourceVersion: _version, ...metadata } = object.metadata;
  return { ...object, metadata: metadata as ApiObject["metadata"] };
}

function placeInNamespace({ resource, namespace }: Target, object: ApiObject): void {
  if (!resource.namespaced) {
    delete object.metadata.namespace;
    return;
  }
  object.metadata.namespace ??= namespace ?? "default";
  if (namespace !== undefined && object.metadata.namespace !== namespace) {
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
}

/** Content only goes into a namespace that exists and stays. */
function checkNamespace(context: ApiContext, { resource }: Target, { metadata }: ApiObject): void {
  if (!resource.namespaced) return;
  const namespace = metadata.namespace ?? "";
  const holder = context.store.get("namespaces", undefined, namespace)?.object;
  if (holder === undefined) throw notFound({ group: "", plural: "namespaces" }, namespace);
  if (holder.metadata.deletionTimestamp === undefined) return;
  const { code, reason, message, details } = forbidden(
    resource,
    metadata.name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  throw new StatusError(code, reason, message, {
    ...details,
    causes: [
      {
        reason: "NamespaceTerminating",
        message: `namespace ${namespace} is being terminated`,
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
  delete metadata.selfLink;
  if (resource.strategy.countsGeneration !== false) metadata.generation = 1;
}
