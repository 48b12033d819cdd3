/** Reads objects of Kubernetes' own kinds as its Go decoder does: unknown fields are dropped, wrong types refused. */
import { fieldOf, isObject, type JsonObject, setField } from "../json.ts";
import { coreRoots, coreTypes } from "./generated/core-fields.ts";

/** What the decoder says about a value of the wrong type. */
export class FieldTypeError extends Error {
  override readonly name = "FieldTypeError";
}

const integerLimits: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

/**
 * Removes, in place, what the kind's Go type does not have; nulls are taken away, quantities become text.
 *
 * @param resource the store's name, e.g. `deployments.apps`; others are left as they are
 * @param report gets the path of each unknown field
 * @throws {@link FieldTypeError} in the words of Go's JSON decoder
 */
export function readCoreFields(object: JsonObject, resource: string, report: (path: string) => void): void {
  const type = Object.hasOwn(coreRoots, resource) ? coreRoots[resource] : undefined;
  if (type !== undefined) readObject(object, type, "", report, true);
}

function readObject(
  object: JsonObject,
  type: string,
  path: string,
  report: (path: string) => void,
  root = false,
): void {
  const fields = coreTypes[type] ?? {};
  for (const name of Object.keys(object)) {
    // The root's metadata is read by the server itself, for every kind.
    if (root && name === "metadata") continue;
    const at = path === "" ? name : `${path}.${name}`;
    const wanted = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (wanted === undefined) {
      delete object[name];
      report(at);
    } else if (object[name] === null) {
      // creationTimestamp: null is how Go writes an empty time, and is shown like that in templates.
      if (name !== "creationTimestamp") delete object[name];
    } else
      setField(
        object,
        name,
        readValue(object[name], wanted, at, `${goName(type)}.${withoutIndexes(at)}`, report),
      );
  }
}

function readValue(
  value: unknown,
  wanted: string,
  path: string,
  place: string,
  report: (path: string) => void,
): unknown {
  if (wanted === "any" || value === null) return value;
  if (wanted.startsWith("[]")) {
    if (!Array.isArray(value)) throw mismatch(value, place, wanted);
    return value.map((item, index) => readValue(item, wanted.slice(2), `${path}[${index}]`, place, report));
  }
  if (wanted.startsWith("{}")) {
    if (!isObject(value)) throw mismatch(value, place, wanted);
    for (const name of Object.keys(value)) {
      setField(
        value,
        name,
        readValue(fieldOf(value, name), wanted.slice(2), `${path}.${name}`, place, report),
      );
    }
    return value;
  }
  if (coreTypes[wanted] !== undefined) {
    if (!isObject(value)) throw mismatch(value, place, wanted);
    readObject(value, wanted, path, report);
    return value;
  }
  return readScalar(value, wanted, place);
}

function readScalar(value: unknown, wanted: string, place: string): unknown {
  switch (wanted) {
    case "quantity":
      if (typeof value === "number") return String(value);
      if (typeof value === "string") return value;
      break;
    case "int-or-string":
      if (typeof value === "string" || Number.isInteger(value)) return value;
      break;
    case "string":
    case "byte":
      if (typeof value === "string") return value;
      break;
    case "boolean":
      if (typeof value === "boolean") return value;
      break;
    case "double":
      if (typeof value === "number") return value;
      break;
    default: {
      const limit = integerLimits[wanted] ?? Number.POSITIVE_INFINITY;
      if (typeof value === "number" && Number.isInteger(value) && Math.abs(value) < limit) return value;
    }
  }
  throw mismatch(value, place, wanted);
}

function mismatch(value: unknown, place: string, wanted: string): FieldTypeError {
  const found = Array.isArray(value)
    ? "array"
    : isObject(value)
      ? "object"
      : typeof value === "boolean"
        ? "bool"
        : typeof value;
  const shown = typeof value === "number" && !Number.isInteger(value) ? `number ${value}` : found;
  return new FieldTypeError(
    `json: cannot unmarshal ${shown} into Go struct field ${place} of type ${goType(wanted)}`,
  );
}

/** `V1DeploymentSpec` is DeploymentSpec in Go. */
function goName(type: string): string {
  return type.replace(/^[A-Za-z]*?V\d+/, "");
}

function goType(wanted: string): string {
  if (wanted.startsWith("[]")) return `[]${goType(wanted.slice(2))}`;
  if (wanted.startsWith("{}")) return `map[string]${goType(wanted.slice(2))}`;
  if (coreTypes[wanted] !== undefined) return `v1.${goName(wanted)}`;
  const names: Readonly<Record<string, string>> = {
    boolean: "bool",
    double: "float64",
    byte: "[]uint8",
    quantity: "resource.Quantity",
    "int-or-string": "intstr.IntOrString",
  };
  return names[wanted] ?? wanted;
}

function withoutIndexes(path: string): string {
  return path.replace(/\[\d+\]/g, "");
}
