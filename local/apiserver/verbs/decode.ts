import type { FieldValidation, Target } from "../context.ts";
import { cloneJson, fieldOf, isObject, type JsonObject } from "../json.ts";
import { decodeStruct, FieldTypeError } from "../kinds/decode.ts";
import { structNamed } from "../kinds/types.ts";
import type { ApiObject } from "../object.ts";
import { groupVersion } from "../resources/resource.ts";
import { setSchemaDefaults } from "../schema/defaults.ts";
import { prune } from "../schema/prune.ts";
import { badRequest, StatusError } from "../status.ts";

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
  if (!isObject(body)) throw cannotHandle(target, "json: cannot unmarshal value into an object");
  const { apiVersion = wanted, kind = resource.kind } = body;
  if (kind === "") throw badRequest("Object 'Kind' is missing");
  if (apiVersion !== wanted || kind !== resource.kind) {
    throw badRequest(
      `${String(kind)} in version ${JSON.stringify(versionOf(String(apiVersion)))} cannot be handled as a ${resource.kind}: the API version in the data (${String(apiVersion)}) does not match the expected API version (${wanted})`,
    );
  }
  try {
    const read =
      version.type === undefined
        ? readCustom(body, target, report)
        : decodeStruct(body, version.type, report);
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

/** An object that admission has changed, read once more. The same object where nothing needs to be read again. */
export function decodeAgain(object: ApiObject, target: Target): ApiObject {
  return decode(object, target, () => undefined);
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

function versionOf(apiVersion: string): string {
  return apiVersion.split("/").at(-1) ?? "";
}

/** Warns about or refuses fields that nobody knows, by the request's `fieldValidation`. */
export function judgeUnknownFields(
  paths: readonly string[],
  validation: FieldValidation,
  warnings: string[],
  target: Target,
): void {
  if (paths.length === 0 || validation === "Ignore") return;
  const sorted = paths.map((path) => `unknown field ${JSON.stringify(path)}`);
  if (validation === "Warn") {
    warnings.push(...sorted);
    return;
  }
  throw cannotHandle(target, `strict decoding error: ${sorted.join(", ")}`);
}

function cannotHandle({ resource, version }: Target, why: string): StatusError {
  return badRequest(
    `${resource.kind} in version ${JSON.stringify(version.name)} cannot be handled as a ${resource.kind}: ${why}`,
  );
}
