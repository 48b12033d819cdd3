/**
 * What server-side apply must know of a type: which of its lists and maps are owned whole, and what tells the items
 * of the others apart. From the Go types of built-in kinds, and from a CRD's schema.
 *
 * @see https://github.com/kubernetes/kube-openapi/tree/master/pkg/schemaconv
 */
import { type GoField, type GoStruct, type GoType, type Leaf, structNamed } from "../kinds/types.ts";
import { fieldSchema, type Schema } from "../schema/schema.ts";

/** A value of this shape is one of those that are there: a scalar, a list or a map. */
export interface Shape {
  readonly scalar: boolean;
  /** Which scalar; undefined where any will do. */
  readonly type?: "string" | "boolean" | "numeric";
  readonly list: ListShape | undefined;
  readonly map: MapShape | undefined;
}

export interface ListShape {
  readonly atomic: boolean;
  readonly element: Shape;
  /** Fields that tell items apart; none where items are plain values (a set). */
  readonly keys: readonly string[];
  /** What a key is where an item does not have it. */
  readonly keyDefaults: ReadonlyMap<string, unknown>;
}

export interface MapShape {
  readonly atomic: boolean;
  /** The shape of a field that the type names. */
  field(name: string): Shape | undefined;
  /** The shape of all other fields; undefined where there may be none. */
  readonly element: Shape | undefined;
}

export const scalar: Shape = { scalar: true, list: undefined, map: undefined };

const scalars = {
  string: { ...scalar, type: "string" },
  boolean: { ...scalar, type: "boolean" },
  numeric: { ...scalar, type: "numeric" },
} satisfies Record<string, Shape>;

const leafTypes: Readonly<Partial<Record<Leaf, Shape>>> = {
  string: scalars.string,
  byte: scalars.string,
  time: scalars.string,
  microtime: scalars.string,
  duration: scalars.string,
  boolean: scalars.boolean,
  int32: scalars.numeric,
  int64: scalars.numeric,
  double: scalars.numeric,
};

const noKeys = { keys: [], keyDefaults: new Map<string, unknown>() };

/** Any JSON, owned as a whole. */
const untyped: Shape = {
  scalar: true,
  list: {
    atomic: true,
    get element() {
      return untyped;
    },
    ...noKeys,
  },
  map: {
    atomic: true,
    field: () => undefined,
    get element() {
      return untyped;
    },
  },
};

/** Any JSON: maps are owned field by field, lists as a whole. */
const deduced: Shape = {
  scalar: true,
  list: { atomic: true, element: untyped, ...noKeys },
  map: {
    atomic: false,
    field: () => undefined,
    get element() {
      return deduced;
    },
  },
};

const structShapes = new Map<string, Shape>();
const atomicShapes = new Map<string, Shape>();

/** The shape of a built-in kind's type. */
export function structShape(struct: GoStruct, atomic = struct.atomic): Shape {
  const known = (atomic ? atomicShapes : structShapes).get(struct.name);
  if (known !== undefined) return known;
  const fields = new Map<string, Shape>();
  const made: Shape = {
    scalar: false,
    list: undefined,
    map: {
      atomic,
      element: struct.fields.size === 0 ? deduced : undefined,
      // Read when first asked for: types may hold themselves.
      field(name) {
        const shape = fields.get(name);
        if (shape !== undefined) return shape;
        const field = struct.fields.get(name);
        if (field === undefined) return undefined;
        const read = goShape(field.type, field);
        fields.set(name, read);
        return read;
      },
    },
  };
  (atomic ? atomicShapes : structShapes).set(struct.name, made);
  return made;
}

function goShape(type: GoType, field: GoField | undefined): Shape {
  switch (type.kind) {
    case "struct":
      return structShape(type, type.atomic || field?.atomicMap === true);
    case "map":
      return mapShape(field?.atomicMap === true, goShape(type.value, undefined));
    case "list":
      return goList(type.item, field);
    case "leaf":
      return type.leaf === "raw" || type.leaf === "fields" || type.leaf.startsWith("schema-or-")
        ? untyped
        : (leafTypes[type.leaf] ?? scalar);
  }
}

function mapShape(atomic: boolean, element: Shape): Shape {
  return { scalar: false, list: undefined, map: { atomic, element, field: () => undefined } };
}

function goList(item: GoType, field: GoField | undefined): Shape {
  const element = goShape(item, undefined);
  const merges = field?.patchStrategy?.startsWith("merge") === true;
  const keys = field?.list === "map" ? field.keys : field?.patchKey === undefined ? [] : [field.patchKey];
  const atomic = field?.list === undefined ? !merges : field.list === "atomic";
  const keyDefaults = new Map<string, unknown>();
  if (item.kind === "struct") {
    for (const key of keys) {
      const value = item.fields.get(key)?.default;
      if (value !== undefined) keyDefaults.set(key, value);
    }
  }
  const list: ListShape = { atomic, element, keys: field?.list === "set" ? [] : keys, keyDefaults };
  return { scalar: false, list, map: undefined };
}

const schemaShapes = new WeakMap<Schema, Shape>();

/** The shape of a custom resource, by its version's schema; without one, everything is told from the values. */
export function customShape(schema: Schema | undefined): Shape {
  if (schema === undefined) return withObjectFields(deduced);
  const known = schemaShapes.get(schema);
  if (known !== undefined) return known;
  const made = withObjectFields(schemaShape(schema, false));
  schemaShapes.set(schema, made);
  return made;
}

/** What every object has, whatever its schema says. */
function withObjectFields(shape: Shape): Shape {
  const { map } = shape;
  if (map === undefined) return shape;
  const metadata = structShape(structNamed("meta.v1.ObjectMeta"));
  return {
    ...shape,
    map: {
      ...map,
      field: (name) =>
        name === "metadata" ? metadata : name === "apiVersion" || name === "kind" ? scalar : map.field(name),
    },
  };
}

function schemaShape(schema: Schema, keepsAbove: boolean): Shape {
  const keeps = keepsAbove || schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (schema["x-kubernetes-int-or-string"] === true) return scalar;
  switch (schema.type) {
    case "object": {
      const made: Shape = { scalar: false, list: undefined, map: schemaMap(schema, keeps) };
      return schema["x-kubernetes-embedded-resource"] === true ? withObjectFields(made) : made;
    }
    case "array":
      return { scalar: false, map: undefined, list: schemaList(schema, keeps) };
    case undefined:
      return keeps ? deduced : untyped;
    case "integer":
    case "number":
      return scalars.numeric;
    case "string":
    case "boolean":
      return scalars[schema.type];
    default:
      return scalar;
  }
}

function schemaMap(schema: Schema, keeps: boolean): MapShape {
  const { properties, additionalProperties: rest } = schema;
  const fields = new Map<string, Shape>();
  const atomic = schema["x-kubernetes-map-type"] === "atomic";
  const free = keeps || properties === undefined || Object.keys(properties).length === 0;
  const element =
    typeof rest === "object"
      ? schemaShape(rest, keeps)
      : rest === true || (rest === undefined && free)
        ? deduced
        : undefined;
  return {
    atomic,
    element,
    field(name) {
      const shape = fields.get(name);
      if (shape !== undefined) return shape;
      const field =
        properties === undefined || !Object.hasOwn(properties, name) ? undefined : fieldSchema(schema, name);
      if (field === undefined) return undefined;
      const read = schemaShape(field, keeps);
      fields.set(name, read);
      return read;
    },
  };
}

function schemaList(schema: Schema, keeps: boolean): ListShape {
  const how = schema["x-kubernetes-list-type"];
  const keys = how === "map" ? (schema["x-kubernetes-list-map-keys"] ?? []) : [];
  const keyDefaults = new Map<string, unknown>();
  for (const key of keys) {
    const value = schema.items === undefined ? undefined : fieldSchema(schema.items, key)?.default;
    if (value !== undefined) keyDefaults.set(key, value);
  }
  return {
    atomic: how !== "map" && how !== "set",
    element: schema.items === undefined ? untyped : schemaShape(schema.items, keeps),
    keys,
    keyDefaults,
  };
}
