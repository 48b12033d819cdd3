import type { JsonObject } from "../../json.ts";
import { type GoField, type GoStruct, type GoType, rootType } from "../types.ts";
import { readLeaf } from "./leaf.ts";
import { readFields, readPacked, WireError, type WireField } from "./wire.ts";

/** What a client says a body is when it is Kubernetes' protobuf. */
export const protobufType = "application/vnd.kubernetes.protobuf";

const magic = Buffer.from("k8s\0");

/**
 * Reads an object that a client sent as protobuf, as its JSON: kubectl's `create` commands send nothing else.
 *
 * Fields that the built-in type does not know are left out, as Go's reader does.
 *
 * @throws WireError for what is no such message, or a kind that is not built in
 * @see runtime.Unknown, k8s.io/apimachinery
 */
export function readProtobuf(body: Buffer): JsonObject {
  if (!body.subarray(0, magic.length).equals(magic)) throw new WireError("the prefix `k8s` is missing");
  const envelope = new Map(
    [...readFields(body.subarray(magic.length))].map(({ number, value }) => [number, value]),
  );
  const typeMeta = envelope.get(1);
  const raw = envelope.get(2) ?? Buffer.alloc(0);
  if (!Buffer.isBuffer(typeMeta) || !Buffer.isBuffer(raw))
    throw new WireError("apiVersion and kind are missing");
  const names = new Map([...readFields(typeMeta)].map(({ number, value }) => [number, String(value)]));
  const [apiVersion = "", kind = ""] = [names.get(1), names.get(2)];
  const [group = "", version] = apiVersion.split("/");
  const type = version === undefined ? rootType("", group, kind) : rootType(group, version, kind);
  if (!type) throw new WireError(`no kind "${kind}" is registered for version "${apiVersion}"`);
  return { apiVersion, kind, ...readStruct(type, raw) };
}

/** Where fields stand in a message: a field, or a message embedded in it. */
type Places = ReadonlyMap<number, GoField | { readonly embedded: Places }>;

const known = new WeakMap<GoStruct, Places>();

function placesOf(struct: GoStruct): Places {
  const places = known.get(struct) ?? layOut(withoutTypeMeta([...struct.fields.values()]), 0);
  known.set(struct, places);
  return places;
}

/** A whole object's apiVersion and kind are not in its message: their numbers are other fields' too. */
function withoutTypeMeta(fields: readonly GoField[]): readonly GoField[] {
  const isTypeMeta = ({ name }: GoField) => name === "apiVersion" || name === "kind";
  const others = fields.filter((field) => !isTypeMeta(field));
  const taken = new Set(others.map(({ numbers }) => numbers.join(".")));
  const clashes = fields.some((field) => isTypeMeta(field) && taken.has(field.numbers.join(".")));
  return clashes ? others : fields;
}

function layOut(fields: readonly GoField[], depth: number): Places {
  const byNumber = Map.groupBy(
    fields.filter(({ numbers }) => numbers.length > depth),
    ({ numbers }) => numbers[depth] ?? 0,
  );
  return new Map(
    [...byNumber].map(([number, here]) => {
      const [first] = here;
      const isField = first !== undefined && first.numbers.length === depth + 1;
      return [number, isField ? first : { embedded: layOut(here, depth + 1) }] as const;
    }),
  );
}

function readStruct(struct: GoStruct, message: Buffer): JsonObject {
  const object: JsonObject = {};
  readInto(object, placesOf(struct), message);
  for (const { name, whenEmpty, pointer } of struct.fields.values()) {
    if (whenEmpty === "never" && !pointer && isZero(object[name])) delete object[name];
  }
  return object;
}

function readInto(object: JsonObject, places: Places, message: Buffer): void {
  for (const { number, value } of readFields(message)) {
    const place = places.get(number);
    if (place === undefined) continue;
    if ("embedded" in place) {
      if (Buffer.isBuffer(value)) readInto(object, place.embedded, value);
      continue;
    }
    const read = readValue(place.type, value, object[place.name]);
    if (read !== undefined) object[place.name] = read;
  }
}

/** @param before what the same field gave before: lists and maps come piece by piece */
function readValue(type: GoType, value: WireField["value"], before: unknown): unknown {
  switch (type.kind) {
    case "leaf":
      return readLeaf(type.leaf, value);
    case "struct":
      return readStruct(type, message(value));
    case "list":
      return [...(Array.isArray(before) ? before : []), ...readItems(type.item, value)];
    case "map": {
      const fields = [...readFields(message(value))];
      const key = fields.find(({ number }) => number === 1)?.value ?? Buffer.alloc(0);
      const entry = fields.find(({ number }) => number === 2)?.value;
      const held: JsonObject = Object.create(null);
      Object.assign(held, before);
      held[message(key).toString("utf8")] =
        entry === undefined ? emptyOf(type.value) : readEntry(type.value, entry);
      return held;
    }
  }
}

function readItems(item: GoType, value: WireField["value"]): unknown[] {
  const numeric = item.kind === "leaf" && ["int32", "int64", "boolean"].includes(item.leaf);
  if (numeric && Buffer.isBuffer(value))
    return readPacked(value).map((one) => readValue(item, one, undefined));
  return [readValue(item, value, undefined)];
}

/** A map's value that is a list is a message with the items in its first field. */
function readEntry(type: GoType, value: WireField["value"]): unknown {
  if (type.kind !== "list") return readValue(type, value, undefined);
  return [...readFields(message(value))]
    .filter(({ number }) => number === 1)
    .flatMap((field) => readItems(type.item, field.value));
}

function emptyOf(type: GoType): unknown {
  if (type.kind === "list") return [];
  return type.kind === "leaf" ? "" : {};
}

function message(value: WireField["value"]): Buffer {
  if (typeof value === "bigint") throw new WireError("found a number where a message belongs");
  return value;
}

function isZero(value: unknown): boolean {
  return value === "" || value === 0 || value === false;
}
