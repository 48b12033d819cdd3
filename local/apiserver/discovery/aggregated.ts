/** Aggregated discovery (`apidiscovery.k8s.io/v2`): everything in two answers. */
import type { Registry } from "../resources/registry.ts";
import type { Resource } from "../resources/resource.ts";
import { subresourcesOf, verbsOf } from "./legacy.ts";

export const aggregatedMediaType = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** The answer to `/api` (core) or `/apis`. */
export function groupDiscoveryList(registry: Registry, core: boolean): object {
  const groups = core ? [["", ["v1"]] as const] : [...registry.groups()];
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map(([group, versions]) => ({
      metadata: { name: group, creationTimestamp: null },
      versions: versions.map((version) => ({
        version,
        resources: registry.inGroupVersion(group, version).map((resource) => entry(resource, version)),
        freshness: "Current",
      })),
    })),
  };
}

function entry(resource: Resource, version: string): object {
  const { group, plural, singular, kind, namespaced, shortNames, categories } = resource;
  const subresources = subresourcesOf(resource, version).map((subresource) => ({
    subresource: subresource.name,
    responseKind: {
      group: subresource.group ?? "",
      version: subresource.version ?? "",
      kind: subresource.kind,
    },
    verbs: subresource.verbs,
  }));
  return {
    resource: plural,
    responseKind: { group, version, kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs: verbsOf(resource),
    ...(shortNames.length === 0 ? {} : { shortNames }),
    ...(categories.length === 0 ? {} : { categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  };
}
