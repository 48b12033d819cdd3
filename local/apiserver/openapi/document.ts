/**
 * OpenAPI v3 documents, one a group and version. kubectl apply needs them: the kind behind each path,
 * ObjectMeta, and whether PATCH takes `fieldValidation` and `dryRun`.
 */
import { createHash } from "node:crypto";
import type { Registry } from "../resources/registry.ts";
import { groupVersion, type Resource, servedVersion } from "../resources/resource.ts";
import { metaSchemas, objectMetaName, reference } from "./meta.ts";

/** `/openapi/v3`: the documents there are. The hash in an address changes with its content. */
export function openApiIndex(registry: Registry): object {
  const paths = registry.groupVersions().map(({ group, version, path }) => {
    const hash = createHash("sha256")
      .update(JSON.stringify(openApiDocument(registry, group, version)))
      .digest("hex")
      .slice(0, 32);
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/** The document of one group and version. */
export function openApiDocument(registry: Registry, group: string, version: string): object {
  const resources = registry.inGroupVersion(group, version);
  const paths: Record<string, object> = {};
  const schemas: Record<string, object> = { ...metaSchemas };
  for (const resource of resources) {
    schemas[schemaName(resource, version)] = kindSchema(resource, version);
    const base = `/${group === "" ? "api" : "apis"}/${groupVersion(group, version)}`;
    const collection = `${base}/${resource.namespaced ? "namespaces/{namespace}/" : ""}${resource.plural}`;
    paths[collection] = collectionPath(resource, version);
    if (resource.stored) paths[`${collection}/{name}`] = itemPath(resource, version);
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "unversioned" },
    paths,
    components: { schemas },
  };
}

/** `io.k8s.api.apps.v1.Deployment`; for others the group's labels turned round, as Kubernetes names them. */
function schemaName({ group, kind, custom }: Resource, version: string): string {
  if (custom) return `${group.split(".").toReversed().join(".")}.${version}.${kind}`;
  return `io.k8s.api.${group === "" ? "core" : (group.split(".")[0] ?? "")}.${version}.${kind}`;
}

function kindSchema(resource: Resource, version: string): object {
  const { group, kind } = resource;
  const schema = servedVersion(resource, version)?.schema;
  return {
    type: "object",
    ...(resource.custom ? {} : { "x-kubernetes-preserve-unknown-fields": true }),
    ...schema,
    properties: {
      ...(resource.custom ? {} : { spec: { type: "object" }, status: { type: "object" } }),
      ...schema?.properties,
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { allOf: [reference(objectMetaName)], default: {} },
    },
    "x-kubernetes-group-version-kind": [{ group, kind, version }],
  };
}

function query(name: string, type = "string"): object {
  return { name, in: "query", schema: { type, uniqueItems: true } };
}

const writeParameters = [query("dryRun"), query("fieldManager"), query("fieldValidation")];

function operation(
  resource: Resource,
  version: string,
  action: string,
  body: readonly string[],
  parameters: readonly object[] = [],
): object {
  const { group, kind } = resource;
  const schema = reference(schemaName(resource, version));
  const content = (types: readonly string[], value: object) =>
    Object.fromEntries(types.map((type) => [type, { schema: value }]));
  const patch = action === "patch";
  return {
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body.length === 0
      ? {}
      : { requestBody: { required: true, content: content(body, patch ? { type: "object" } : schema) } }),
    responses: { "200": { description: "OK", content: content(["application/json"], schema) } },
    "x-kubernetes-action": action,
    "x-kubernetes-group-version-kind": { group, kind, version },
  };
}

function collectionPath(resource: Resource, version: string): object {
  const create = { post: operation(resource, version, "post", ["*/*"], writeParameters) };
  return resource.stored ? { get: operation(resource, version, "list", []), ...create } : create;
}

/**
 * PATCH does not name strategic merge: kubectl then merges Kubernetes' own kinds by its compiled-in
 * types, which is right, where the shallow schemas above would have it replace lists.
 */
function itemPath(resource: Resource, version: string): object {
  const patches = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
  ];
  return {
    get: operation(resource, version, "get", []),
    put: operation(resource, version, "put", ["*/*"], writeParameters),
    delete: operation(
      resource,
      version,
      "delete",
      [],
      [query("dryRun"), query("gracePeriodSeconds", "integer"), query("propagationPolicy")],
    ),
    patch: operation(resource, version, "patch", patches, [...writeParameters, query("force", "boolean")]),
  };
}
