/** Values of leaf types as Go's decoders take and write them. */
import { isObject } from "../json.ts";
import { canonicalQuantity } from "./quantity.ts";
import type { Leaf } from "./types.ts";

/** A value that its type does not take; the message is Go's, without the field. */
export class LeafError extends Error {
  override readonly name = "LeafError";
  /** True where the message is to be followed by the field and the type. */
  readonly mismatch: boolean;

  constructor(message: string, mismatch: boolean) {
    super(message);
    this.mismatch = mismatch;
  }
}

const integerLimits = { int32: 2 ** 31, int64: 2 ** 63 } as const;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** What Go writes for a value that it read; throws {@link LeafError}. `value` is never null. */
export function readLeaf(value: unknown, leaf: Leaf): unknown {
  switch (leaf) {
    case "string":
      if (typeof value === "string") return value;
      throw mismatch(value);
    case "boolean":
      if (typeof value === "boolean") return value;
      throw mismatch(value);
    case "int32":
    case "int64":
      if (typeof value === "number" && Number.isInteger(value) && inRange(value, integerLimits[leaf]))
        return value;
      throw mismatch(value);
    case "double":
      if (typeof value === "number") return value;
      throw mismatch(value);
    case "byte":
      return readBytes(value);
    case "time":
      return readTime(value, 0);
    case "microtime":
      return readTime(value, 6);
    case "duration":
      if (typeof value === "string") return value;
      throw mismatch(value);
    case "quantity":
      if (typeof value === "string" || typeof value === "number") return readQuantity(String(value));
      throw new LeafError(quantityText, false);
    case "int-or-string":
      if (typeof value === "string" || (typeof value === "number" && Number.isInteger(value))) return value;
      throw mismatch(value);
    default:
      return value;
  }
}

function inRange(value: number, limit: number): boolean {
  return value < limit && value >= -limit;
}

function readBytes(value: unknown): unknown {
  if (typeof value !== "string") throw mismatch(value);
  const text = value.replace(/[\r\n]/g, "");
  if (base64.test(text)) return text;
  throw new LeafError(`illegal base64 data at input byte ${firstFault(text)}`, false);
}

function firstFault(text: string): number {
  const wrong = text.search(/[^A-Za-z0-9+/]/);
  if (wrong >= 0 && text[wrong] !== "=") return wrong;
  // Where padding is missing, Go names the end of the last whole group.
  return wrong >= 0 ? wrong : text.length - (text.length % 4);
}

const times = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function readTime(value: unknown, decimals: 0 | 6): unknown {
  if (typeof value !== "string") throw mismatch(value);
  const match = times.exec(value);
  const at = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}${match[4]}`);
  const fraction = match?.[3] ?? "";
  if (match === null || Number.isNaN(at) || (decimals === 6 && fraction.length !== 7)) {
    const layout = decimals === 0 ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
    const [rest, wanted] = match === null ? [value, "2006"] : [`${fraction}${match[4]}`, ".000000"];
    const texts = [value, layout, rest, wanted].map((text) => JSON.stringify(text));
    throw new LeafError(
      `parsing time ${texts[0]} as ${texts[1]}: cannot parse ${texts[2]} as ${texts[3]}`,
      false,
    );
  }
  return `${new Date(at).toISOString().slice(0, 19)}${decimals === 0 ? "" : fraction}Z`;
}

const quantityText =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

function readQuantity(text: string): string {
  const canonical = canonicalQuantity(text);
  if (canonical === undefined) throw new LeafError(quantityText, false);
  return canonical;
}

function mismatch(value: unknown): LeafError {
  return new LeafError(`cannot unmarshal ${jsonTypeName(value)}`, true);
}

/** What Go's decoder calls a JSON value. */
export function jsonTypeName(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (isObject(value)) return "object";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number")
    return `number${Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? "" : ` ${value}`}`;
  return typeof value;
}

const goNames: Readonly<Record<Leaf, string>> = {
  string: "string",
  boolean: "bool",
  int32: "int32",
  int64: "int64",
  double: "float64",
  byte: "[]uint8",
  time: "v1.Time",
  microtime: "v1.MicroTime",
  duration: "v1.Duration",
  fields: "v1.FieldsV1",
  quantity: "resource.Quantity",
  "int-or-string": "int32",
  raw: "runtime.RawExtension",
  "schema-or-bool": "v1.JSONSchemaPropsOrBool",
  "schema-or-array": "v1.JSONSchemaPropsOrArray",
  "schema-or-strings": "v1.JSONSchemaPropsOrStringArray",
};

/** A leaf's name in Go. */
export function leafGoName(leaf: Leaf): string {
  return goNames[leaf];
}

/** What Go writes for a leaf that was not set. */
export function emptyLeaf(leaf: Leaf): unknown {
  switch (leaf) {
    case "string":
      return "";
    case "boolean":
      return false;
    case "int32":
    case "int64":
    case "double":
    case "int-or-string":
      return 0;
    case "quantity":
      return "0";
    case "duration":
      return "0s";
    default:
      return null;
  }
}

/** Leaves that Go has as structs, so that omitempty does not leave them out. */
export const structLeaves: ReadonlySet<Leaf> = new Set<Leaf>([
  "time",
  "microtime",
  "duration",
  "quantity",
  "int-or-string",
  "raw",
]);
