import { isObject, type JsonObject, listAt, objectAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { isSchema } from "../schema/schema.ts";
import type { PrinterColumn, Resource, ResourceVersion, ScalePaths } from "./resource.ts";

/** The resource that a CustomResourceDefinition describes. */
export function customResource(definition: ApiObject): Resource {
  const spec = objectAt(definition, "spec");
  const names = objectAt(spec, "names");
  const kind = textAt(names, "kind") ?? "";
  const versions = listAt(spec, "versions").filter(isObject);
  return {
    group: textAt(spec, "group") ?? "",
    plural: textAt(names, "plural") ?? "",
    singular: textAt(names, "singular") ?? kind.toLowerCase(),
    kind,
    listKind: textAt(names, "listKind") ?? `${kind}List`,
    namespaced: spec.scope !== "Cluster",
    shortNames: listAt(names, "shortNames").map(String),
    categories: listAt(names, "categories").map(String),
    versions: versions.map(readVersion),
    storageVersion:
      textAt(
        versions.find(({ storage }) => storage === true),
        "name",
      ) ?? "",
    stored: true,
    custom: true,
    strategy: { warnings: finalizerWarnings },
    subresources: [],
  };
}

const ownFinalizers = new Set(["orphan", "foregroundDeletion", "kubernetes"]);

/** New finalizers without a domain may be somebody else's one day. */
function finalizerWarnings({ metadata }: ApiObject, old: ApiObject | undefined): string[] {
  const known = new Set(old?.metadata.finalizers ?? []);
  return [...new Set(metadata.finalizers ?? [])]
    .filter((name) => !known.has(name) && !name.includes("/") && !ownFinalizers.has(name))
    .sort()
    .map((name) => {
      const how = name.includes(".") ? " including a path (/)" : "";
      return `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name${how} to avoid accidental conflicts with other finalizer writers`;
    });
}

function readVersion(version: JsonObject): ResourceVersion {
  const schema = objectAt(version, "schema").openAPIV3Schema;
  const subresources = objectAt(version, "subresources");
  const columns = listAt(version, "additionalPrinterColumns").flatMap(readColumn);
  const { scale } = subresources;
  const selectableFields = listAt(version, "selectableFields").map((field) =>
    (textAt(field, "jsonPath") ?? "").replace(/^\./, ""),
  );
  return {
    name: textAt(version, "name") ?? "",
    served: version.served === true,
    ...(isSchema(schema) ? { schema } : {}),
    ...(columns.length === 0 ? {} : { columns }),
    ...(selectableFields.length === 0 ? {} : { selectableFields }),
    status: subresources.status !== undefined,
    ...(isObject(scale) ? { scale: readScale(scale) } : {}),
    ...(version.deprecated === true ? { deprecation: textAt(version, "deprecationWarning") ?? "" } : {}),
  };
}

function readColumn(column: unknown): PrinterColumn[] {
  if (!isObject(column)) return [];
  const { name, type, jsonPath, priority, description, format } = column;
  if (typeof name !== "string" || typeof type !== "string" || typeof jsonPath !== "string") return [];
  return [
    {
      name,
      type,
      jsonPath,
      ...(typeof priority === "number" ? { priority } : {}),
      ...(typeof description === "string" ? { description } : {}),
      ...(typeof format === "string" ? { format } : {}),
    },
  ];
}

function readScale(scale: JsonObject): ScalePaths {
  const path = (name: string) => (textAt(scale, name) ?? "").split(".").filter((part) => part !== "");
  const labelSelector = path("labelSelectorPath");
  return {
    specReplicas: path("specReplicasPath"),
    statusReplicas: path("statusReplicasPath"),
    ...(labelSelector.length === 0 ? {} : { labelSelector }),
  };
}
