import type { Target, WriteOptions } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import { cloneJson, fieldOf, isObject, type JsonObject, textAt } from "../json.ts";
import { decodeStruct, FieldTypeError } from "../kinds/decode.ts";
import { rootType, structNamed } from "../kinds/types.ts";
import type { ApiObject } from "../object.ts";
import { groupVersion } from "../resources/resource.ts";
import { setSchemaDefaults } from "../schema/defaults.ts";
import { prune } from "../schema/prune.ts";
import { badRequest, invalid, StatusError } from "../status.ts";

/**
 * Takes a client's body as an object of the target's kind: read as Go reads a built-in kind, pruned and defaulted
 * by the schema of a custom one. A new object.
 *
 * @param report gets the paths of fields that the kind does not have
 * @throws 400 where it is not such an object
 */
export function decode(body: unknown, target: Target, report: (path: string) => void): ApiObject {
  const { resource, version } = target;
  const wanted = groupVersion(resource.group, version.name);
  // Go reads null as nothing set.
  const given = body === null ? {} : body;
  if (!isObject(given)) throw cannotHandle(target, "json: cannot unmarshal value into an object");
  checkType(given, target, wanted);
  try {
    const read =
      version.type === undefined
        ? readCustom(given, target, report)
        : decodeStruct(given, version.type, report);
    return { ...read, kind: resource.kind, apiVersion: wanted, metadata: withIdentity(read.metadata) };
  } catch (error) {
    if (error instanceof FieldTypeError)
      throw new UnreadableError(cannotHandle(target, error.message), error.message);
    throw error;
  }
}

/** 400 for a body whose fields have the wrong types. */
export class UnreadableError extends StatusError {
  /** The decoder's own words. */
  readonly why: string;

  constructor({ code, reason, message }: StatusError, why: string) {
    super(code, reason, message);
    this.why = why;
  }
}

const objectMeta = structNamed("meta.v1.ObjectMeta");

function readCustom(body: JsonObject, { version }: Target, report: (path: string) => void): JsonObject {
  const { metadata, ...fields } = body;
  const given = metadata ?? {};
  if (!isObject(given))
    throw new FieldTypeError(
      "json: cannot unmarshal into Go struct field ObjectMeta.metadata of type v1.ObjectMeta",
    );
  const object: JsonObject = {
    ...cloneJson(fields),
    metadata: decodeStruct(given, objectMeta, (path) => report(`metadata.${path}`)),
  };
  if (version.schema !== undefined) {
    prune(object, version.schema, report);
    setSchemaDefaults(object, version.schema);
  }
  return object;
}

/** Metadata in which the fields that name an object are never absent, only empty. */
function withIdentity(value: unknown): ApiObject["metadata"] {
  const metadata = isObject(value) ? value : {};
  const text = (name: string) => {
    const found = fieldOf(metadata, name);
    return typeof found === "string" ? found : "";
  };
  return {
    ...metadata,
    name: text("name"),
    uid: text("uid"),
    resourceVersion: text("resourceVersion"),
    creationTimestamp: text("creationTimestamp"),
  };
}

/** Throws 400 (422 for a custom resource) for a body that says it is another kind or version than the path's. */
function checkType(body: JsonObject, { resource, version }: Target, wanted: string): void {
  const { apiVersion = wanted, kind = resource.kind } = body;
  if (resource.custom && body.kind === undefined) {
    const text = JSON.stringify(body);
    const start = text.length > 30 ? `${text.slice(0, 30)} ...` : text;
    throw badRequest(
      `the object provided is unrecognized (must be of type ${resource.kind}): Object 'Kind' is missing in '${text}' (${start})`,
    );
  }
  if (kind === "") throw badRequest("Object 'Kind' is missing");
  if (apiVersion !== wanted) {
    throw badRequest(
      `the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted})`,
    );
  }
  if (kind === resource.kind) return;
  const { group } = resource;
  if (resource.custom) {
    const name = textAt(body, "metadata", "name") ?? "";
    throw invalid({ group, kind: String(kind) }, name, [
      invalidValue("kind", kind, `must be ${resource.kind}`),
    ]);
  }
  const known = rootType(group, version.name, String(kind)) !== undefined;
  const why = known
    ? `converting (${version.name}.${String(kind)}) to (${group.split(".")[0] || "core"}.${resource.kind}): unknown conversion`
    : `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(wanted)} in scheme "pkg/runtime/scheme.go:111"`;
  throw badRequest(
    `${String(kind)} in version ${JSON.stringify(version.name)} cannot be handled as a ${resource.kind}: ${why}`,
  );
}

/** Warns about or refuses fields that nobody knows, by the request's `fieldValidation`. */
export function judgeUnknownFields(
  paths: readonly string[],
  { fieldValidation, warnings, strictFaults = [], patched }: WriteOptions,
  target: Target,
  body?: unknown,
): void {
  if (fieldValidation === "Ignore" || paths.length + strictFaults.length === 0) return;
  // Of custom resources they are told in the order of the alphabet, of others as they stand.
  const ordered = target.resource.custom ? paths.toSorted() : paths;
  const faults = [...strictFaults, ...ordered.map((path) => `unknown field ${JSON.stringify(path)}`)];
  if (fieldValidation === "Warn") {
    warnings.push(...faults);
    return;
  }
  const why = `strict decoding error: ${faults.join(", ")}`;
  if (patched === undefined) throw cannotHandle(target, why);
  throw invalid({ group: "", kind: "" }, "", [
    invalidValue("patch", patched.shown ?? JSON.stringify(body), why),
  ]);
}

function cannotHandle({ resource, version }: Target, why: string): StatusError {
  return badRequest(
    `${resource.kind} in version ${JSON.stringify(version.name)} cannot be handled as a ${resource.kind}: ${why}`,
  );
}
