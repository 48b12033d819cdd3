import type { FieldError } from "./status.ts";

/** A value as Kubernetes quotes it in messages: strings in quotes, the rest as JSON. */
export function show(value: unknown): string {
  return value === undefined ? "null" : JSON.stringify(value);
}

export function required(field: string, detail = ""): FieldError {
  return {
    type: "FieldValueRequired",
    field,
    message: detail === "" ? "Required value" : `Required value: ${detail}`,
  };
}

export function invalidValue(field: string, value: unknown, detail: string): FieldError {
  return { type: "FieldValueInvalid", field, message: `Invalid value: ${show(value)}: ${detail}` };
}

/** A value of the wrong JSON type; Kubernetes shows the type it found, not the value. */
export function wrongType(field: string, found: string, wanted: string): FieldError {
  const place = field === "" ? "<nil>" : field;
  return {
    type: "FieldValueTypeInvalid",
    field: place,
    message: `Invalid value: ${show(found)}: ${place} in body must be of type ${wanted}: ${show(found)}`,
  };
}

export function notSupported(field: string, value: unknown, supported: readonly unknown[]): FieldError {
  return {
    type: "FieldValueNotSupported",
    field,
    message: `Unsupported value: ${show(value)}: supported values: ${supported.map(show).join(", ")}`,
  };
}

export function forbiddenField(field: string, detail: string): FieldError {
  return { type: "FieldValueForbidden", field, message: `Forbidden: ${detail}` };
}

export function duplicate(field: string, value: unknown): FieldError {
  return { type: "FieldValueDuplicate", field, message: `Duplicate value: ${show(value)}` };
}

export function notFoundValue(field: string, value: unknown): FieldError {
  return { type: "FieldValueNotFound", field, message: `Not found: ${show(value)}` };
}

export function tooLong(field: string, limit: number): FieldError {
  return { type: "FieldValueTooLong", field, message: `Too long: may not be more than ${limit} bytes` };
}

export function tooMany(field: string, found: number, limit: number): FieldError {
  return {
    type: "FieldValueTooMany",
    field,
    message: `Too many: ${found}: must have at most ${limit} items`,
  };
}
