/**
 * Who owns which field: kept up with every write, decided upon with every server-side apply.
 *
 * The rules are those of sigs.k8s.io/structured-merge-diff (merge.Updater) and of Kubernetes' managers around it.
 */
import { equalJson, isObject, type JsonObject, objectAt, textAt } from "../json.ts";
import { timestamp } from "../object.ts";
import { unforeseen } from "../status.ts";
import { type Comparison, compareObjects } from "./compare.ts";
import { type Conflict, conflictStatus } from "./conflict.ts";
import {
  asksForReset,
  capUpdaters,
  dropEmpty,
  type Managed,
  type ManagedFields,
  managerId,
  readManagedFields,
  writeManagedFields,
} from "./entries.ts";
import {
  difference,
  differenceWithChildren,
  emptySet,
  type FieldSet,
  has,
  insert,
  intersection,
  isEmptySet,
  paths,
  union,
  withNamedFields,
} from "./field-set.ts";
import { fieldsOf } from "./fields-of.ts";
import { mergeObjects } from "./merge.ts";
import { removeFields } from "./remove.ts";
import type { Shape } from "./shape.ts";
import { typeFaults } from "./typed.ts";

/** What is known of the kind that is written. */
export interface TrackedKind {
  /** The shape of the kind in a version; undefined for a version that is not served. */
  readonly shape: (apiVersion: string) => Shape | undefined;
  /** What the endpoint never stores, e.g. status through the main one. */
  readonly reset: FieldSet;
  /** An object of this kind in which nothing is set. */
  readonly empty: JsonObject;
}

/** Who writes. */
export interface Writer {
  readonly manager: string;
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** Fields that nobody owns: they name the object, or are the server's. */
const never = emptySet();
for (const path of [["apiVersion"], ["kind"], ["metadata"]])
  insert(
    never,
    path.map((step) => `f:${step}`),
  );
for (const field of [
  "name",
  "namespace",
  "creationTimestamp",
  "selfLink",
  "uid",
  "clusterName",
  "generation",
  "managedFields",
  "resourceVersion",
])
  insert(never, ["f:metadata", `f:${field}`]);

/**
 * Sets `next.metadata.managedFields` for a write that is no apply: what it changed is the writer's now.
 *
 * @param live what is replaced; undefined for a creation
 */
export function trackUpdate(
  live: JsonObject | undefined,
  next: JsonObject,
  writer: Writer,
  kind: TrackedKind,
): void {
  const asked = objectAt(next, "metadata").managedFields;
  const kept = readManagedFields(objectAt(live, "metadata").managedFields) ?? new Map<string, Managed>();
  let entries = kept;
  if (writer.subresource === undefined) {
    const given = asksForReset(asked) ? new Map<string, Managed>() : readManagedFields(asked);
    entries = asksForReset(asked) ? new Map() : given === undefined || given.size === 0 ? kept : given;
  }
  const bare = withoutManagedFields(next);
  // An object whose managers were forgotten is tracked again from its first apply on.
  if (entries.size > 0 || live === undefined) {
    updateEntries(entries, live === undefined ? kind.empty : withoutManagedFields(live), bare, writer, kind);
  }
  setManagedFields(next, entries);
}

/** Gives what the writer changed to it, and takes it from the others. Changes `entries`. */
function updateEntries(
  entries: ManagedFields,
  live: JsonObject,
  next: JsonObject,
  writer: Writer,
  kind: TrackedKind,
): void {
  const comparison = settle(entries, undefined, live, next, writer.apiVersion, kind, true);
  if (comparison === undefined) return;
  const changed = differenceWithChildren(union(comparison.modified, comparison.added), kind.reset);
  const fields = difference(changed, never);
  if (!isEmptySet(fields)) {
    const name = { ...nameOf(writer), operation: "Update" } as const;
    const previous = entries.get(managerId(name));
    const owned = previous === undefined ? fields : union(fields, previous.fields);
    // Kubernetes keeps no time of those who scale.
    const time = writer.subresource === "scale" ? undefined : timestamp(writer.now);
    entries.set(managerId(name), { ...name, fields: owned, time });
  }
  capUpdaters(entries);
}

function nameOf({ manager, apiVersion, subresource }: Writer) {
  return { manager: manager === "" ? "unknown" : manager, apiVersion, subresource };
}

/**
 * Takes from every entry but `own` what differs between `live` and `next`. Changes `entries`.
 *
 * @throws 409 where that is somebody's and `force` is not set
 */
function settle(
  entries: ManagedFields,
  own: string | undefined,
  live: JsonObject,
  next: JsonObject,
  apiVersion: string,
  kind: TrackedKind,
  force: boolean,
): Comparison | undefined {
  const comparisons = new Map<string, Comparison | undefined>();
  const comparisonIn = (version: string): Comparison | undefined => {
    if (!comparisons.has(version)) {
      const shape = kind.shape(version);
      comparisons.set(version, shape === undefined ? undefined : compareObjects(live, next, shape));
    }
    return comparisons.get(version);
  };
  const conflicts: Conflict[] = [];
  const left = new Map<string, Managed>();
  for (const [id, entry] of entries) {
    if (id === own) continue;
    const comparison = comparisonIn(entry.apiVersion);
    // A version that is no longer served can own nothing.
    if (comparison === undefined) {
      left.set(id, { ...entry, fields: emptySet() });
      continue;
    }
    const taken = intersection(
      entry.fields,
      differenceWithChildren(union(comparison.modified, comparison.added), kind.reset),
    );
    for (const path of paths(taken)) conflicts.push({ owner: entry, path });
    const removed = differenceWithChildren(comparison.removed, kind.reset);
    left.set(id, { ...entry, fields: difference(difference(entry.fields, taken), removed) });
  }
  if (!force && conflicts.length > 0) throw new ConflictError(conflicts);
  for (const [id, entry] of left) entries.set(id, entry);
  dropEmpty(entries);
  return comparisonIn(apiVersion);
}

class ConflictError extends Error {
  readonly conflicts: readonly Conflict[];
  constructor(conflicts: readonly Conflict[]) {
    super("conflicts");
    this.conflicts = conflicts;
  }
}

const lastApplied = "kubectl.kubernetes.io/last-applied-configuration";

/**
 * Applies a configuration to an object: what the applier set before and leaves out now goes, unless others own it.
 * Gives a new object with its managedFields.
 *
 * @param live the stored object; undefined to create one
 * @throws 409 where others own what would change, unless `force`
 */
export function applyConfiguration(
  live: JsonObject | undefined,
  configuration: JsonObject,
  writer: Writer,
  kind: TrackedKind,
  force: boolean,
): JsonObject {
  try {
    return applyOnce(live, configuration, writer, kind, force);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    // What `kubectl apply` set on the client's side, `kubectl apply --server-side` may take over.
    const allowed =
      writer.manager === "kubectl" && live !== undefined ? fieldsLastApplied(live, writer, kind) : undefined;
    const refused =
      allowed === undefined ? error.conflicts : error.conflicts.filter(({ path }) => !has(allowed, path));
    if (refused.length > 0) throw conflictStatus(refused);
    return applyOnce(live, configuration, writer, kind, true);
  }
}

function applyOnce(
  stored: JsonObject | undefined,
  configuration: JsonObject,
  writer: Writer,
  kind: TrackedKind,
  force: boolean,
): JsonObject {
  const shape = shapeOf(configuration, writer, kind);
  const live = stored === undefined ? kind.empty : withoutManagedFields(stored);
  const entries = readManagedFields(objectAt(stored, "metadata").managedFields) ?? new Map<string, Managed>();
  if (entries.size === 0 && stored !== undefined)
    updateEntries(entries, kind.empty, live, { ...writer, manager: "before-first-apply" }, kind);
  const name = { ...nameOf(writer), operation: "Apply" } as const;
  const id = managerId(name);
  const last = entries.get(id);
  const fields = differenceWithChildren(fieldsOf(configuration, shape), kind.reset);
  entries.set(id, { ...name, fields, time: last?.time });
  const merged = mergeObjects(live, configuration, shape);
  const next = last === undefined ? merged : pruned(merged, entries, last, kind);
  settle(entries, id, live, isObject(next) ? next : {}, writer.apiVersion, kind, force);
  const own = entries.get(id);
  if (own !== undefined) {
    // Who only agrees with what is there gets no time: nothing was written.
    const time = equalJson(live, next) ? last?.time : timestamp(writer.now);
    entries.set(id, { ...own, fields: difference(own.fields, never), time });
    dropEmpty(entries);
  }
  const object: JsonObject = isObject(next) ? { ...next } : {};
  if (writer.manager === "kubectl") renewLastApplied(object, configuration);
  setManagedFields(object, entries);
  return object;
}

/** The type of a configuration. Throws 500, as Kubernetes does, where the configuration is not of it. */
function shapeOf(configuration: JsonObject, { apiVersion }: Writer, kind: TrackedKind): Shape {
  const shape = kind.shape(apiVersion);
  if (shape === undefined) throw new Error(`no type for ${apiVersion}`);
  const faults = typeFaults(configuration, shape);
  if (faults.length === 0) return shape;
  const { namespace = "", name = "" } = objectAt(configuration, "metadata");
  const group = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
  const why =
    faults.length === 1 ? faults.join("") : `errors:\n${faults.map((fault) => `  ${fault}`).join("\n")}`;
  throw unforeseen(
    `failed to create typed patch object (${String(namespace)}/${String(name)}; ${group}, Kind=${textAt(configuration, "kind") ?? ""}): ${why}`,
  );
}

/** `merged` without what the applier set last time and nobody wants now. */
function pruned(merged: unknown, entries: ManagedFields, last: Managed, kind: TrackedKind): unknown {
  const shape = kind.shape(last.apiVersion);
  if (shape === undefined || isEmptySet(last.fields)) return merged;
  let rest = removeFields(merged, withNamedFields(last.fields, shape), shape);
  const byVersion = new Map<string, FieldSet>();
  for (const { apiVersion, fields } of entries.values())
    byVersion.set(apiVersion, union(byVersion.get(apiVersion) ?? emptySet(), fields));
  const versions = [...byVersion.keys()].sort((left) => (left === last.apiVersion ? -1 : 1));
  for (const version of versions) {
    const own = kind.shape(version);
    if (own === undefined) continue;
    const whole = withNamedFields(fieldsOf(merged, own), own);
    const left = withNamedFields(fieldsOf(rest, own), own);
    const owned = withNamedFields(byVersion.get(version) ?? emptySet(), own);
    rest = removeFields(merged, difference(whole, union(left, owned)), own);
  }
  const left = withNamedFields(fieldsOf(rest, shape), shape);
  const whole = withNamedFields(fieldsOf(merged, shape), shape);
  const before = withNamedFields(last.fields, shape);
  return removeFields(merged, intersection(difference(whole, left), before), shape);
}

/** What `kubectl apply` set and nobody has changed since: its annotation against the object. */
function fieldsLastApplied(
  live: JsonObject,
  { apiVersion }: Writer,
  kind: TrackedKind,
): FieldSet | undefined {
  const text = textAt(live, "metadata", "annotations", lastApplied);
  const shape = kind.shape(apiVersion);
  if (text === undefined || shape === undefined) return undefined;
  try {
    const configuration: unknown = JSON.parse(text);
    if (textAt(configuration, "apiVersion") !== apiVersion) return undefined;
    const { added, modified, removed } = compareObjects(configuration, withoutManagedFields(live), shape);
    return difference(fieldsOf(configuration, shape), union(union(added, modified), removed));
  } catch {
    return undefined;
  }
}

/** Keeps the annotation of client-side apply in step where an object has it. */
function renewLastApplied(object: JsonObject, configuration: JsonObject): void {
  const annotations = objectAt(object, "metadata", "annotations");
  if (annotations[lastApplied] === undefined) return;
  const { [lastApplied]: _old, ...others } = objectAt(configuration, "metadata", "annotations");
  const metadata = { ...objectAt(configuration, "metadata"), annotations: others };
  annotations[lastApplied] = `${JSON.stringify({ ...configuration, metadata })}\n`;
}

function withoutManagedFields(object: JsonObject): JsonObject {
  const { managedFields: _fields, ...metadata } = objectAt(object, "metadata");
  return { ...object, metadata };
}

function setManagedFields(object: JsonObject, entries: ManagedFields): void {
  const { managedFields: _fields, ...metadata } = objectAt(object, "metadata");
  const list = writeManagedFields(entries);
  object.metadata = list === undefined ? metadata : { ...metadata, managedFields: list };
}
