/**
 * Reads objects of Kubernetes' own kinds as its Go decoder does, and gives them as Go would write them again:
 * unknown fields dropped, empty ones left out or spelt out as each type says, times and quantities in one form.
 */
import { fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import { emptyLeaf, jsonTypeName, LeafError, leafGoName, readLeaf, structLeaves } from "./leaves.ts";
import { type GoField, type GoStruct, type GoType, type Leaf, structNamed } from "./types.ts";

/** What the decoder says about a value of the wrong type. */
export class FieldTypeError extends Error {
  override readonly name = "FieldTypeError";
}

/** Where the decoder is: linked, so that paths are only spelt when somebody wants one. */
interface Place {
  readonly parent: Place | undefined;
  readonly step: string | number;
  /** The step is a map's key: paths have it, Go's messages do not. */
  readonly key?: true;
  /** The struct whose field this is, for Go's message. */
  readonly struct: GoStruct | undefined;
}

type Report = (path: string) => void;

/**
 * `value` as Go reads and writes a `struct`. A new object; `value` is not changed.
 *
 * @param report gets the path of each unknown field, e.g. `spec.containers[0].imag`
 * @throws {@link FieldTypeError} in the words of Go's JSON decoder
 */
export function decodeStruct(value: JsonObject, struct: GoStruct, report: Report): JsonObject {
  return readStruct(value, struct, undefined, report);
}

/** What Go writes for a struct in which nothing is set. */
export function emptyStruct(struct: GoStruct): JsonObject {
  return readStruct({}, struct, undefined, () => undefined);
}

function readStruct(
  value: JsonObject,
  struct: GoStruct,
  place: Place | undefined,
  report: Report,
): JsonObject {
  const read: JsonObject = {};
  for (const field of struct.fields.values()) {
    const given = fieldOf(value, field.name);
    if (given === undefined || given === null) {
      const empty = emptyField(field);
      if (empty !== undefined) read[field.name] = empty;
      continue;
    }
    const decoded = readType(given, field.type, { parent: place, step: field.name, struct }, report);
    if (field.pointer || field.whenEmpty === "always" || !isEmpty(decoded, field.type))
      read[field.name] = decoded;
  }
  for (const name of Object.keys(value))
    if (!struct.fields.has(name)) report(pathOf({ parent: place, step: name, struct }));
  return read;
}

/** What stands for a field that is not set; undefined where it is left out. */
function emptyField({ type, pointer, whenEmpty }: GoField): unknown {
  if (whenEmpty === "if-set") return undefined;
  if (pointer) return whenEmpty === "always" ? null : undefined;
  if (type.kind === "struct") return emptyStruct(type);
  if (type.kind === "leaf") {
    if (whenEmpty === "always" || structLeaves.has(type.leaf)) return emptyLeaf(type.leaf);
    return undefined;
  }
  return whenEmpty === "always" ? null : undefined;
}

/** Whether omitempty leaves a decoded value out: structs are never empty. */
function isEmpty(value: unknown, type: GoType): boolean {
  switch (type.kind) {
    case "struct":
      return false;
    case "list":
      return Array.isArray(value) && value.length === 0;
    case "map":
      return isObject(value) && Object.keys(value).length === 0;
    case "leaf":
      return !structLeaves.has(type.leaf) && (value === "" || value === 0 || value === false);
  }
}

function readType(value: unknown, type: GoType, place: Place, report: Report): unknown {
  switch (type.kind) {
    case "leaf":
      return readLeafAt(value, type.leaf, place, report);
    case "struct":
      if (!isObject(value)) throw mismatch(value, type, place);
      return readStruct(value, type, place, report);
    case "list": {
      if (!Array.isArray(value)) throw mismatch(value, type, place);
      return value.map((item: unknown, index) =>
        item === null
          ? emptyItem(type.item)
          : readType(item, type.item, { parent: place, step: index, struct: place.struct }, report),
      );
    }
    case "map": {
      if (!isObject(value)) throw mismatch(value, type, place);
      const read: JsonObject = {};
      for (const name of Object.keys(value).sort()) {
        const item = value[name];
        const at: Place = { parent: place, step: name, struct: place.struct, key: true };
        setField(read, name, item === null ? emptyItem(type.value) : readType(item, type.value, at, report));
      }
      return read;
    }
  }
}

/** What null stands for inside a list or a map. */
function emptyItem(type: GoType): unknown {
  if (type.kind === "struct") return emptyStruct(type);
  return type.kind === "leaf" ? emptyLeaf(type.leaf) : null;
}

function readLeafAt(value: unknown, leaf: Leaf, place: Place, report: Report): unknown {
  if (leaf === "schema-or-bool" || leaf === "schema-or-array" || leaf === "schema-or-strings")
    return readSchemaUnion(value, leaf, place, report);
  try {
    return readLeaf(value, leaf);
  } catch (error) {
    if (!(error instanceof LeafError)) throw error;
    if (!error.mismatch) throw new FieldTypeError(error.message);
    throw mismatch(value, { kind: "leaf", leaf }, place);
  }
}

/** `items` may be a schema or a list of them, `additionalProperties` a schema or a boolean, `dependencies` a schema or names. */
function readSchemaUnion(value: unknown, leaf: Leaf, place: Place, report: Report): unknown {
  const schema = structNamed("apiextensions.v1.JSONSchemaProps");
  if (isObject(value)) return readStruct(value, schema, place, report);
  if (leaf === "schema-or-bool" && typeof value === "boolean") return value;
  if (leaf === "schema-or-array" && Array.isArray(value))
    return value.map((item: unknown) => readType(item, schema, place, report));
  if (leaf === "schema-or-strings" && Array.isArray(value)) return value.map(String);
  throw new FieldTypeError(
    leaf === "schema-or-bool" ? "boolean or JSON schema expected" : "json: cannot unmarshal into JSON schema",
  );
}

function mismatch(value: unknown, type: GoType, place: Place): FieldTypeError {
  const struct = place.struct?.name.split(".").at(-1) ?? "";
  return new FieldTypeError(
    `json: cannot unmarshal ${jsonTypeName(value)} into Go struct field ${struct}.${namesOf(place)} of type ${goName(type)}`,
  );
}

function goName(type: GoType): string {
  switch (type.kind) {
    case "leaf":
      return leafGoName(type.leaf);
    case "struct":
      return type.goName;
    case "list":
      return `[]${goName(type.item)}`;
    case "map":
      return `map[string]${goName(type.value)}`;
  }
}

/** With indexes: `spec.containers[0].name`. */
function pathOf({ parent, step }: Place): string {
  if (parent === undefined) return String(step);
  return typeof step === "number" ? `${pathOf(parent)}[${step}]` : `${pathOf(parent)}.${step}`;
}

/** The fields' names only, as Go's message has them. */
function namesOf({ parent, step, key }: Place): string {
  if (parent === undefined) return String(step);
  if (key === true) return namesOf(parent);
  return typeof step === "number" ? namesOf(parent) : `${namesOf(parent)}.${step}`;
}
