import type { FieldValidation, Target } from "../context.ts";
import { fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import type { ApiObject, Owner } from "../object.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { FieldTypeError, readCoreFields } from "../schema/core-fields.ts";
import { setSchemaDefaults } from "../schema/defaults.ts";
import { prune } from "../schema/prune.ts";
import { badRequest } from "../status.ts";

/**
 * Takes a client's body as an object of the target's kind: pruned and defaulted by a CRD's schema.
 *
 * @param report gets the paths of fields that the schema does not know
 * @throws 400 where it is not such an object
 */
export function decode(body: unknown, target: Target, report: (path: string) => void): ApiObject {
  const { resource, version } = target;
  const wanted = groupVersion(resource.group, version.name);
  if (!isObject(body)) throw cannotHandle(target, "json: cannot unmarshal value into an object");
  const { apiVersion = wanted, kind = resource.kind } = body;
  if (kind === "") throw badRequest("Object 'Kind' is missing");
  if (apiVersion !== wanted || kind !== resource.kind) {
    throw badRequest(
      `${String(kind)} in version ${JSON.stringify(apiVersion)} cannot be handled as a ${resource.kind}: the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted}) of ${resource.kind}`,
    );
  }
  const { metadata: _metadata, ...fields } = body;
  const object: ApiObject = {
    ...fields,
    apiVersion: wanted,
    kind: resource.kind,
    metadata: readMetadata(body, target),
  };
  applySchema(object, target, report);
  return object;
}

/**
 * Prunes an object in place, by its CRD's schema or by the types of Kubernetes' own kinds, and sets a CRD's defaults.
 *
 * @throws 400 where a field of a built-in kind has the wrong type
 */
export function applySchema(object: ApiObject, target: Target, report: (path: string) => void): void {
  const { resource, version } = target;
  if (version.schema !== undefined) {
    prune(object, version.schema, report);
    setSchemaDefaults(object, version.schema);
  }
  if (resource.custom) return;
  try {
    readCoreFields(object, storeName(resource), report);
  } catch (error) {
    if (error instanceof FieldTypeError) throw cannotHandle(target, error.message);
    throw error;
  }
}

/** What to do about fields that nobody knows, by the request's `fieldValidation`. */
function unknownFieldText(paths: readonly string[]): string {
  return paths.map((path) => `unknown field "${path}"`).join(", ");
}

/** Warns about or refuses unknown fields. */
export function judgeUnknownFields(
  paths: readonly string[],
  validation: FieldValidation,
  warnings: string[],
  target: Target,
): void {
  if (paths.length === 0 || validation === "Ignore") return;
  if (validation === "Warn") {
    for (const path of paths) warnings.push(`unknown field "${path}"`);
    return;
  }
  throw cannotHandle(target, `strict decoding error: ${unknownFieldText(paths)}`);
}

function cannotHandle({ resource, version }: Target, why: string): Error {
  return badRequest(
    `${resource.kind} in version ${JSON.stringify(version.name)} cannot be handled as a ${resource.kind}: ${why}`,
  );
}

function readMetadata(body: JsonObject, target: Target): ApiObject["metadata"] {
  const given = fieldOf(body, "metadata") ?? {};
  if (!isObject(given)) throw cannotHandle(target, "metadata must be an object");
  const metadata: ApiObject["metadata"] = { name: "", uid: "", resourceVersion: "", creationTimestamp: "" };
  for (const field of [
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
  ]) {
    const value = fieldOf(given, field);
    if (value === undefined || value === null) continue;
    if (typeof value !== "string")
      throw cannotHandle(
        target,
        `json: cannot unmarshal ${typeof value} into Go struct field ObjectMeta.metadata.${field} of type string`,
      );
    metadata[field] = value;
  }
  for (const field of ["generation", "deletionGracePeriodSeconds"]) {
    const value = fieldOf(given, field);
    if (typeof value === "number") metadata[field] = value;
  }
  const labels = readStrings(given, "labels", target);
  if (labels !== undefined) metadata.labels = labels;
  const annotations = readStrings(given, "annotations", target);
  if (annotations !== undefined) metadata.annotations = annotations;
  const finalizers = fieldOf(given, "finalizers");
  if (Array.isArray(finalizers) && finalizers.length > 0) metadata.finalizers = finalizers.map(String);
  const owners = fieldOf(given, "ownerReferences");
  if (Array.isArray(owners) && owners.length > 0)
    metadata.ownerReferences = owners.map((owner) => readOwner(owner, target));
  const managed = fieldOf(given, "managedFields");
  if (Array.isArray(managed)) metadata.managedFields = managed;
  return metadata;
}

function readStrings(
  metadata: JsonObject,
  field: string,
  target: Target,
): Record<string, string> | undefined {
  const value = fieldOf(metadata, field);
  if (value === undefined || value === null) return undefined;
  const texts: Record<string, string> = {};
  if (!isObject(value))
    throw cannotHandle(
      target,
      `json: cannot unmarshal ${typeOf(value)} into Go struct field ObjectMeta.metadata.${field} of type map[string]string`,
    );
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== "string" && text !== null) {
      throw cannotHandle(
        target,
        `json: cannot unmarshal ${typeOf(text)} into Go struct field ObjectMeta.metadata.${field} of type string`,
      );
    }
    setField(texts, name, text ?? "");
  }
  return Object.keys(texts).length === 0 ? undefined : texts;
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

function readOwner(value: unknown, target: Target): Owner {
  const text = (field: string): string => {
    const found = fieldOf(value, field);
    if (typeof found !== "string") throw cannotHandle(target, `metadata.ownerReferences must have ${field}`);
    return found;
  };
  const controller = fieldOf(value, "controller");
  const block = fieldOf(value, "blockOwnerDeletion");
  return {
    apiVersion: text("apiVersion"),
    kind: text("kind"),
    name: text("name"),
    uid: text("uid"),
    ...(typeof controller === "boolean" ? { controller } : {}),
    ...(typeof block === "boolean" ? { blockOwnerDeletion: block } : {}),
  };
}
