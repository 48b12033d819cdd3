/**
 * The Go types behind Kubernetes' own kinds, as `tools/kinds` read them from Kubernetes itself: what its JSON and
 * protobuf codecs see of each field, and what OpenAPI says beside.
 */
import { readFileSync } from "node:fs";

/** Types with a codec of their own; `raw` is any JSON, `schema-or-…` are the unions inside a CRD's schema. */
export type Leaf =
  | "string"
  | "boolean"
  | "int32"
  | "int64"
  | "double"
  | "byte"
  | "time"
  | "microtime"
  | "duration"
  | "fields"
  | "quantity"
  | "int-or-string"
  | "raw"
  | "schema-or-bool"
  | "schema-or-array"
  | "schema-or-strings";

export type GoType =
  | { readonly kind: "leaf"; readonly leaf: Leaf }
  | { readonly kind: "list"; readonly item: GoType }
  | { readonly kind: "map"; readonly value: GoType }
  | GoStruct;

export interface GoStruct {
  readonly kind: "struct";
  /** As in our files, e.g. `apps.v1.DeploymentSpec`. */
  readonly name: string;
  /** As Go prints it, e.g. `v1.DeploymentSpec`. */
  readonly goName: string;
  /** Server-side apply takes the whole of it as one field. */
  readonly atomic: boolean;
  readonly required: readonly string[];
  /** In the order of the Go source, which is the order on the wire. */
  readonly fields: ReadonlyMap<string, GoField>;
}

export interface GoField {
  readonly name: string;
  readonly type: GoType;
  /** How an empty one is written: `never` (omitempty), `always`, or `if-set` (omitzero: also structs are left out). */
  readonly whenEmpty: "always" | "never" | "if-set";
  /** A pointer in Go: an explicit zero differs from absence. */
  readonly pointer: boolean;
  /** Its number in protobuf; a path where a message is embedded. Empty where it has none. */
  readonly numbers: readonly number[];
  readonly list: "atomic" | "set" | "map" | undefined;
  readonly keys: readonly string[];
  readonly atomicMap: boolean;
  readonly patchStrategy: string | undefined;
  readonly patchKey: string | undefined;
  readonly default: unknown;
  readonly enum: readonly unknown[] | undefined;
  readonly format: string | undefined;
}

interface StoredField {
  readonly t: string;
  readonly o?: 1 | 2;
  readonly p?: true;
  readonly n?: readonly number[];
  readonly l?: "atomic" | "set" | "map";
  readonly m?: string;
  readonly k?: readonly string[];
  readonly ps?: string;
  readonly pk?: string;
  readonly d?: unknown;
  readonly e?: readonly unknown[];
  readonly f?: string;
}

interface Stored {
  readonly roots: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly types: Readonly<
    Record<
      string,
      {
        readonly go: string;
        readonly map?: string;
        readonly required?: readonly string[];
        readonly fields: Readonly<Record<string, StoredField>>;
      }
    >
  >;
}

const stored = readGenerated("types.json") as Stored;
const structs = new Map<string, GoStruct>();

function readGenerated(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`./generated/${file}`, import.meta.url), "utf8"));
}

/** The type of a kind in a group and version (`apps/v1`; the core's is `/v1`); undefined for one that is not built in. */
export function rootType(group: string, version: string, kind: string): GoStruct | undefined {
  const name = stored.roots[`${group}/${version}`]?.[kind];
  return name === undefined ? undefined : structNamed(name);
}

/** A struct by its name in our files, e.g. `meta.v1.ObjectMeta`. Throws for one that does not exist. */
export function structNamed(name: string): GoStruct {
  const known = structs.get(name);
  if (known !== undefined) return known;
  const found = Object.hasOwn(stored.types, name) ? stored.types[name] : undefined;
  if (found === undefined) throw new Error(`no type \`${name}\`: run tools/kinds`);
  const fields = new Map<string, GoField>();
  const struct: GoStruct = {
    kind: "struct",
    name,
    goName: found.go,
    atomic: found.map === "atomic",
    required: found.required ?? [],
    fields,
  };
  // Known before its fields are read: types may hold themselves.
  structs.set(name, struct);
  for (const [field, entry] of Object.entries(found.fields)) fields.set(field, readField(field, entry));
  return struct;
}

function readField(name: string, stored: StoredField): GoField {
  return {
    name,
    type: readType(stored.t),
    whenEmpty: stored.o === undefined ? "always" : stored.o === 1 ? "never" : "if-set",
    pointer: stored.p === true,
    numbers: stored.n ?? [],
    list: stored.l,
    keys: stored.k ?? [],
    atomicMap: stored.m === "atomic",
    patchStrategy: stored.ps,
    patchKey: stored.pk,
    default: stored.d,
    enum: stored.e,
    format: stored.f,
  };
}

const leaves = new Set<string>([
  "string",
  "boolean",
  "int32",
  "int64",
  "double",
  "byte",
  "time",
  "microtime",
  "duration",
  "fields",
  "quantity",
  "int-or-string",
  "raw",
  "schema-or-bool",
  "schema-or-array",
  "schema-or-strings",
] satisfies Leaf[]);
const isLeaf = (text: string): text is Leaf => leaves.has(text);

function readType(text: string): GoType {
  if (text.startsWith("[]")) return { kind: "list", item: readType(text.slice(2)) };
  if (text.startsWith("{}")) return { kind: "map", value: readType(text.slice(2)) };
  return isLeaf(text) ? { kind: "leaf", leaf: text } : structNamed(text);
}
