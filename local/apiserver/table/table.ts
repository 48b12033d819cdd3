import type { Target } from "../context.ts";
import { type ApiObject, partialMetadata } from "../object.ts";
import { storeName } from "../resources/resource.ts";
import { builtinColumns } from "./builtin.ts";
import { age, type Column, nameColumn } from "./column.ts";
import { customColumns } from "./custom.ts";

export interface TableOptions {
  /** Epoch milliseconds, for ages. */
  readonly now: number;
  /** What each row carries besides its cells. */
  readonly includeObject: "None" | "Metadata" | "Object";
  /** The reader knows the columns already. */
  readonly withoutColumns?: boolean;
}

/** A `meta.k8s.io/v1` Table of these objects; kubectl prints it as it is. */
export function tableOf(
  objects: readonly ApiObject[],
  target: Target,
  options: TableOptions,
): Record<string, unknown> {
  const columns = columnsOf(target);
  return {
    kind: "Table",
    apiVersion: "meta.k8s.io/v1",
    metadata: {},
    columnDefinitions:
      options.withoutColumns === true
        ? null
        : columns.map(({ name, type, format = "", description = "", priority = 0 }) => ({
            name,
            type,
            format,
            description,
            priority,
          })),
    rows: objects.map((object) => ({
      cells: columns.map(({ cell }) => cell(object, options.now)),
      ...rowObject(object, options),
    })),
  };
}

function columnsOf({ resource, version }: Target): readonly Column[] {
  if (resource.custom) return customColumns(version.columns);
  return builtinColumns.get(storeName(resource)) ?? [nameColumn, age];
}

function rowObject(object: ApiObject, { includeObject }: TableOptions): object {
  if (includeObject === "None") return { object: null };
  return { object: includeObject === "Object" ? object : partialMetadata(object) };
}
