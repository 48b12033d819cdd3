/**
 * OpenAPI v3 documents, one a group and version: the kind behind each path, its schema, and which options and patches
 * it takes. `kubectl explain` shows them, `kubectl apply` merges by them.
 */
import { createHash } from "node:crypto";
import { structNamed } from "../kinds/types.ts";
import type { Registry } from "../resources/registry.ts";
import { groupVersion, type Resource, servedVersion } from "../resources/resource.ts";
import { builtinDigest, builtinSchemas, modelName, reference } from "./builtin.ts";

/** `/openapi/v3`: the documents there are. The hash in an address changes with its content. */
export function openApiIndex(registry: Registry): object {
  const paths = registry.groupVersions().map(({ group, version, path }) => {
    const hash = createHash("sha256")
      .update(contentKey(registry, group, version))
      .digest("hex")
      .slice(0, 32);
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash.toUpperCase()}` }];
  });
  return { paths: Object.fromEntries(paths) };
}

/** What tells a document from others at its place. Kubernetes' own kinds change with this program only. */
function contentKey(registry: Registry, group: string, version: string): string {
  const resources = registry.inGroupVersion(group, version);
  return resources.some(({ custom }) => custom)
    ? JSON.stringify(openApiDocument(registry, group, version))
    : `${builtinDigest()} ${group}/${version} ${resources.map(({ plural }) => plural).join(" ")}`;
}

/** The document of one group and version. */
export function openApiDocument(registry: Registry, group: string, version: string): object {
  const resources = registry.inGroupVersion(group, version);
  const paths: Record<string, object> = {};
  const types = resources.flatMap((resource) => servedVersion(resource, version)?.type ?? []);
  const schemas = types.length === 0 ? new Map(sharedSchemas()) : builtinSchemas([objectMeta, ...types]);
  for (const resource of resources) {
    const name = schemaName(resource, version);
    const own = resource.custom ? customSchema(resource, version) : schemas.get(name);
    const kind = { group, kind: resource.kind, version };
    schemas.set(name, { ...own, "x-kubernetes-group-version-kind": [kind] });
    const base = `/${group === "" ? "api" : "apis"}/${groupVersion(group, version)}`;
    const collection = `${base}/${resource.namespaced ? "namespaces/{namespace}/" : ""}${resource.plural}`;
    paths[collection] = collectionPath(resource, version);
    if (resource.stored) paths[`${collection}/{name}`] = itemPath(resource, version);
  }
  return {
    openapi: "3.0.0",
    info: { title: "Kubernetes", version: "unversioned" },
    paths,
    components: { schemas: Object.fromEntries(schemas) },
  };
}

const objectMeta = structNamed("meta.v1.ObjectMeta");
let shared: ReadonlyMap<string, object> | undefined;

/** What every document has: that of a group of CRDs has nothing else of Kubernetes' own. */
function sharedSchemas(): ReadonlyMap<string, object> {
  shared ??= builtinSchemas([objectMeta]);
  return shared;
}

/** A built-in kind's name is its type's; for others the group's labels turned round, as Kubernetes names them. */
function schemaName(resource: Resource, version: string): string {
  const type = servedVersion(resource, version)?.type;
  if (type !== undefined) return modelName(type);
  return `${resource.group.split(".").toReversed().join(".")}.${version}.${resource.kind}`;
}

const about = {
  apiVersion:
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
  kind: "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
  metadata:
    "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata",
};

function customSchema(resource: Resource, version: string): object {
  const schema = servedVersion(resource, version)?.schema;
  return {
    type: "object",
    ...schema,
    properties: {
      ...schema?.properties,
      apiVersion: { type: "string", description: about.apiVersion },
      kind: { type: "string", description: about.kind },
      metadata: { allOf: [reference(modelName(objectMeta))], description: about.metadata },
    },
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

function itemPath(resource: Resource, version: string): object {
  const patches = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    ...(resource.custom ? [] : ["application/strategic-merge-patch+json"]),
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
