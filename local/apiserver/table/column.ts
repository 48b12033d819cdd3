import { textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { humanDuration } from "./duration.ts";

export type Cell = string | number | boolean | null;

/** A column of a Table. `priority` 1 shows with `-o wide` only. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly cell: (object: ApiObject, now: number) => Cell;
}

/** A text column. */
export function text(name: string, cell: (object: ApiObject, now: number) => Cell, priority = 0): Column {
  return { name, type: "string", priority, cell };
}

/** A number column. */
export function count(name: string, cell: (object: ApiObject) => Cell, priority = 0): Column {
  return { name, type: "integer", priority, cell };
}

/** A column of numbers that Kubernetes calls text. */
export function amount(name: string, cell: (object: ApiObject) => Cell, priority = 0): Column {
  return { name, type: "string", priority, cell };
}

export const nameColumn: Column = {
  name: "Name",
  type: "string",
  format: "name",
  description:
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
  cell: ({ metadata }) => metadata.name,
};

export const age: Column = text("Age", ({ metadata }, now) => since(metadata.creationTimestamp, now));

/** How long ago an RFC 3339 time was; `<unknown>` without one. */
export function since(time: string | undefined, now: number): string {
  const at = Date.parse(time ?? "");
  return Number.isNaN(at) ? "<unknown>" : humanDuration(now - at);
}

/** A column that shows the text at a path, or `missing`. */
export function field(name: string, path: readonly string[], missing = "", priority = 0): Column {
  return text(name, (object) => textAt(object, ...path) ?? missing, priority);
}
