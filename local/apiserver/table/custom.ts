import type { PrinterColumn } from "../resources/resource.ts";
import { age, type Cell, type Column, nameColumn, since } from "./column.ts";
import { findJsonPath } from "./jsonpath.ts";

/** The columns of a custom resource: its `additionalPrinterColumns`, or NAME and AGE. */
export function customColumns(columns: readonly PrinterColumn[] | undefined): readonly Column[] {
  if (columns === undefined) return [nameColumn, age];
  return [
    nameColumn,
    ...columns.map(
      ({ name, type, format, description, priority, jsonPath }): Column => ({
        name,
        type,
        priority: priority ?? 0,
        ...(format === undefined ? {} : { format }),
        ...(description === undefined ? {} : { description }),
        cell: (object, now) => cellOf(findJsonPath(object, jsonPath), type, now),
      }),
    ),
  ];
}

function cellOf(found: readonly unknown[], type: string, now: number): Cell {
  const [value] = found;
  if (value === undefined || value === null) return null;
  switch (type) {
    case "integer":
    case "number":
      return typeof value === "number" ? value : null;
    case "boolean":
      return typeof value === "boolean" ? value : null;
    case "date":
      return typeof value === "string" ? since(value, now) : null;
    default:
      return found.length === 1 ? show(value) : found.map(show).join(",");
  }
}

function show(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
