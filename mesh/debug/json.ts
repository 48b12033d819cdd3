import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

/** The fields of an object; none of anything else. */
export function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

/** The elements of an array; none of anything else. */
export function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}
