import type { Leaf } from "../types.ts";
import { readFields, WireError, type WireField } from "./wire.ts";

/** The JSON form of a leaf; undefined for an unset time. */
export function readLeaf(leaf: Leaf, value: WireField["value"]): unknown {
  switch (leaf) {
    case "boolean":
      return number(value) !== 0n;
    case "int32":
    case "int64":
      return Number(BigInt.asIntN(64, number(value)));
    case "double":
      return bytes(value).readDoubleLE(0);
    case "string":
      return bytes(value).toString("utf8");
    case "byte":
      return bytes(value).toString("base64");
    case "quantity":
      return text(value, 1);
    case "time":
    case "microtime":
      return readTime(bytes(value), leaf === "microtime");
    case "duration":
      return `${Number(BigInt.asIntN(64, varintOf(value, 1))) / 1e9}s`;
    case "int-or-string":
      return varintOf(value, 1) === 0n ? Number(BigInt.asIntN(64, varintOf(value, 2))) : text(value, 3);
    case "raw":
    case "fields": {
      const raw = text(value, 1);
      return raw === "" ? undefined : (JSON.parse(raw) as unknown);
    }
    default:
      throw new WireError(`${leaf} is read as JSON only`);
  }
}

function number(value: WireField["value"]): bigint {
  if (typeof value !== "bigint") throw new WireError("found bytes where a number belongs");
  return value;
}

function bytes(value: WireField["value"]): Buffer {
  if (typeof value === "bigint") throw new WireError("found a number where bytes belong");
  return value;
}

function fieldOf(value: WireField["value"], wanted: number): WireField["value"] | undefined {
  return [...readFields(bytes(value))].findLast((field) => field.number === wanted)?.value;
}

function varintOf(value: WireField["value"], wanted: number): bigint {
  return number(fieldOf(value, wanted) ?? 0n);
}

function text(value: WireField["value"], wanted: number): string {
  return bytes(fieldOf(value, wanted) ?? Buffer.alloc(0)).toString("utf8");
}

/** meta.v1.Time: seconds and nanoseconds; Go's zero time is an empty message. */
function readTime(message: Buffer, micro: boolean): string | undefined {
  if (message.length === 0) return undefined;
  const seconds = BigInt.asIntN(64, varintOf(message, 1));
  const at = new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, "");
  if (!micro) return `${at}Z`;
  const micros = Number(BigInt.asIntN(64, varintOf(message, 2))) / 1000;
  return `${at}.${String(Math.floor(micros)).padStart(6, "0")}Z`;
}
