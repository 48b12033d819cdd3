/** `metadata.managedFields` read and written: who set which fields, by what kind of request, and when. */
import { isObject, type JsonObject, textAt } from "../json.ts";
import { emptySet, type FieldSet, isEmptySet, readFieldsV1, union, writeFieldsV1 } from "./field-set.ts";

/** One manager's fields. */
export interface Managed {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  readonly fields: FieldSet;
  /** RFC 3339. */
  readonly time: string | undefined;
}

/** By {@link managerId}. */
export type ManagedFields = Map<string, Managed>;

/** What makes two entries one: an applier is the same in every version. */
export function managerId({
  manager,
  operation,
  apiVersion,
  subresource,
}: Omit<Managed, "fields" | "time">): string {
  return JSON.stringify([manager, operation, operation === "Apply" ? "" : apiVersion, subresource ?? ""]);
}

/** Reads the entries of an object's metadata; undefined where one of them is none. */
export function readManagedFields(list: unknown): ManagedFields | undefined {
  const entries: ManagedFields = new Map();
  if (!Array.isArray(list)) return entries;
  for (const item of list) {
    const operation = textAt(item, "operation");
    const apiVersion = textAt(item, "apiVersion") ?? "";
    if ((operation !== "Apply" && operation !== "Update") || apiVersion === "") return undefined;
    if (textAt(item, "fieldsType") !== "FieldsV1") return undefined;
    const entry: Managed = {
      manager: textAt(item, "manager") ?? "",
      operation,
      apiVersion,
      subresource: textAt(item, "subresource"),
      fields: isObject(item) ? readFieldsV1(item.fieldsV1) : emptySet(),
      time: textAt(item, "time"),
    };
    entries.set(managerId(entry), entry);
  }
  return entries;
}

/** Whether a request asks to forget all managers: an empty list, or one with one empty entry. */
export function asksForReset(list: unknown): boolean {
  if (!Array.isArray(list)) return false;
  const [only] = list;
  return list.length === 0 || (list.length === 1 && isObject(only) && Object.keys(only).length === 0);
}

/** The entries as `metadata.managedFields` has them, in Kubernetes' order; undefined where there are none. */
export function writeManagedFields(entries: ManagedFields): JsonObject[] | undefined {
  if (entries.size === 0) return undefined;
  return [...entries.values()]
    .toSorted(byOrder)
    .map(({ manager, operation, apiVersion, time, fields, subresource }) => ({
      manager,
      operation,
      apiVersion,
      ...(time === undefined ? {} : { time }),
      fieldsType: "FieldsV1",
      fieldsV1: writeFieldsV1(fields),
      ...(subresource === undefined ? {} : { subresource }),
    }));
}

function byOrder(left: Managed, right: Managed): number {
  const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  return (
    compare(left.operation, right.operation) ||
    compare(left.time ?? "", right.time ?? "") ||
    compare(left.manager, right.manager) ||
    compare(left.apiVersion, right.apiVersion) ||
    compare(left.subresource ?? "", right.subresource ?? "")
  );
}

const mostUpdaters = 10;
const bucketName = "ancient-changes";

/** Merges the oldest updaters of each version into one entry where there are more than ten. */
export function capUpdaters(entries: ManagedFields): void {
  const updaters = [...entries].filter(([, { operation }]) => operation === "Update");
  let over = updaters.length - mostUpdaters;
  if (over <= 0) return;
  const oldestFirst = updaters.toSorted(
    ([leftId, left], [rightId, right]) =>
      Date.parse(left.time ?? "1970-01-01T00:00:00Z") - Date.parse(right.time ?? "1970-01-01T00:00:00Z") ||
      (leftId < rightId ? -1 : 1),
  );
  const firstOf = new Map<string, string>();
  for (const [id, entry] of oldestFirst) {
    if (over <= 0) return;
    const first = firstOf.get(entry.apiVersion);
    if (first === undefined) {
      firstOf.set(entry.apiVersion, id);
      continue;
    }
    const name = {
      manager: bucketName,
      operation: "Update",
      apiVersion: entry.apiVersion,
      subresource: undefined,
    } as const;
    const bucketId = managerId(name);
    const bucket = entries.get(bucketId) ?? entries.get(first);
    if (!entries.has(bucketId)) entries.delete(first);
    entries.set(bucketId, {
      ...name,
      fields: union(entry.fields, bucket?.fields ?? emptySet()),
      time: entry.time,
    });
    entries.delete(id);
    over--;
  }
}

/** Takes out the entries that own nothing any more. */
export function dropEmpty(entries: ManagedFields): void {
  for (const [id, { fields }] of entries) if (isEmptySet(fields)) entries.delete(id);
}
