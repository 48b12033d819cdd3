/** OpenAPI schemas of Kubernetes' own kinds, from their Go types and what Kubernetes says of each field. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { GoField, GoStruct, GoType, Leaf } from "../kinds/types.ts";

type Descriptions = Readonly<Record<string, Readonly<Record<string, string>>>>;

// Half a megabyte that most servers are never asked for: read for each document, and not kept.
function readDescriptions(): Descriptions {
  const file = new URL("../kinds/generated/descriptions.json", import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Descriptions;
}

let digest: string | undefined;

/** Changes where what is known of Kubernetes' own kinds does. */
export function builtinDigest(): string {
  digest ??= ["types.json", "descriptions.json"]
    .map((name) => readFileSync(new URL(`../kinds/generated/${name}`, import.meta.url)))
    .reduce((hash, content) => hash.update(content), createHash("sha256"))
    .digest("hex");
  return digest;
}

const homes = new Map([
  ["meta.v1", "io.k8s.apimachinery.pkg.apis.meta.v1"],
  ["apiextensions.v1", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"],
  ["apiregistration.v1", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1"],
]);

/** A type's name in documents: `io.k8s.api.apps.v1.DeploymentSpec` for `apps.v1.DeploymentSpec`. */
export function modelName({ name }: Pick<GoStruct, "name">): string {
  const dot = name.lastIndexOf(".");
  const home = name.slice(0, dot);
  return `${homes.get(home) ?? `io.k8s.api.${home}`}.${name.slice(dot + 1)}`;
}

export const reference = (name: string): { $ref: string } => ({ $ref: `#/components/schemas/${name}` });

const definitions = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1";

/** Leaves that have a schema of their own. */
const leafModels: ReadonlyMap<Leaf, { readonly name: string; readonly schema: object }> = new Map([
  [
    "int-or-string",
    {
      name: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
      schema: { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
    },
  ],
  [
    "quantity",
    {
      name: "io.k8s.apimachinery.pkg.api.resource.Quantity",
      schema: { oneOf: [{ type: "string" }, { type: "number" }] },
    },
  ],
  [
    "time",
    {
      name: "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
      schema: { type: "string", format: "date-time" },
    },
  ],
  [
    "microtime",
    {
      name: "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
      schema: { type: "string", format: "date-time" },
    },
  ],
  ["fields", { name: "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", schema: { type: "object" } }],
  ["schema-or-bool", { name: `${definitions}.JSONSchemaPropsOrBool`, schema: {} }],
  ["schema-or-array", { name: `${definitions}.JSONSchemaPropsOrArray`, schema: {} }],
  ["schema-or-strings", { name: `${definitions}.JSONSchemaPropsOrStringArray`, schema: {} }],
]);

const plainLeaves: Partial<Record<Leaf, object>> = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  double: { type: "number", format: "double" },
  byte: { type: "string", format: "byte" },
  duration: { type: "string" },
};

/** The schemas of these types, and of all that they are made of, by their names in documents. */
export function builtinSchemas(roots: readonly GoStruct[]): Map<string, object> {
  const descriptions = readDescriptions();
  const schemas = new Map<string, object>();
  const described = (text: string | undefined) =>
    text === undefined || text === "" ? {} : { description: text };
  const addLeaf = (leaf: Leaf): string | undefined => {
    const model = leafModels.get(leaf);
    if (model !== undefined && !schemas.has(model.name))
      schemas.set(model.name, { ...described(descriptions[leaf]?.[""]), ...model.schema });
    return model?.name;
  };
  const addStruct = (struct: GoStruct): string => {
    const name = modelName(struct);
    if (schemas.has(name)) return name;
    const properties: Record<string, object> = {};
    const told = descriptions[struct.name] ?? {};
    // Known before its fields are read: types may hold themselves.
    const schema = {
      ...described(told[""]),
      type: "object",
      ...(struct.required.length === 0 ? {} : { required: struct.required }),
      ...(struct.fields.size === 0 ? {} : { properties }),
      ...(struct.atomic ? { "x-kubernetes-map-type": "atomic" } : {}),
    };
    schemas.set(name, schema);
    for (const [field, entry] of struct.fields)
      properties[field] = { ...described(told[field]), ...fieldSchema(entry) };
    return name;
  };
  /** @param inside of a list or map: Kubernetes gives its items their zero value as default. */
  const typeSchema = (type: GoType, inside: boolean): object => {
    switch (type.kind) {
      case "leaf": {
        const name = addLeaf(type.leaf);
        if (name !== undefined) return inside ? reference(name) : { allOf: [reference(name)] };
        const zero = inside && type.leaf === "string" ? { default: "" } : {};
        return { ...(plainLeaves[type.leaf] ?? { type: "object" }), ...zero };
      }
      case "list":
        return { type: "array", items: typeSchema(type.item, true) };
      case "map":
        return { type: "object", additionalProperties: typeSchema(type.value, true) };
      case "struct":
        return { allOf: [reference(addStruct(type))], ...(inside ? { default: {} } : {}) };
    }
  };
  const fieldSchema = (field: GoField): object => ({
    ...typeSchema(field.type, false),
    ...(field.format === undefined ? {} : { format: field.format }),
    ...(field.default === undefined || field.default === null ? {} : { default: field.default }),
    ...(field.enum === undefined || field.enum.length === 0 ? {} : { enum: field.enum }),
    ...(field.list === undefined ? {} : { "x-kubernetes-list-type": field.list }),
    ...(field.keys.length === 0 ? {} : { "x-kubernetes-list-map-keys": field.keys }),
    ...(field.atomicMap ? { "x-kubernetes-map-type": "atomic" } : {}),
    ...(field.patchStrategy === undefined ? {} : { "x-kubernetes-patch-strategy": field.patchStrategy }),
    ...(field.patchKey === undefined ? {} : { "x-kubernetes-patch-merge-key": field.patchKey }),
  });
  for (const root of roots) addStruct(root);
  return schemas;
}
