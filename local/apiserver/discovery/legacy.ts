/** Discovery as every client knows it: `/api`, `/apis`, `/apis/G`, `/apis/G/V`. */
import { createHash } from "node:crypto";
import type { Registry } from "../resources/registry.ts";
import { groupVersion, type Resource, servedVersion } from "../resources/resource.ts";

const builtinVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
// The order is Kubernetes' own.
const customVerbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/** The verbs of a resource itself. */
export function verbsOf({ stored, strategy, custom }: Resource): readonly string[] {
  if (!stored) return ["create"];
  const verbs = custom ? customVerbs : builtinVerbs;
  return strategy.deletesOneByOne === true ? verbs.filter((verb) => verb !== "deletecollection") : verbs;
}

/** A resource's subresources in one version, status and scale included. */
export function subresourcesOf(
  resource: Resource,
  version: string,
): { name: string; kind: string; group?: string; version?: string; verbs: readonly string[] }[] {
  const served = servedVersion(resource, version);
  const verbs = ["get", "patch", "update"];
  const all = [
    ...(served?.status === true ? [{ name: "status", kind: resource.kind, verbs }] : []),
    ...(served?.scale === undefined
      ? []
      : [{ name: "scale", kind: "Scale", group: "autoscaling", version: "v1", verbs }]),
    ...resource.subresources,
  ];
  return resource.custom ? all : all.toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

/** `/api` */
export function apiVersions(address: string): object {
  return {
    kind: "APIVersions",
    versions: ["v1"],
    serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress: address }],
  };
}

/** `/apis` */
export function apiGroupList(registry: Registry): object {
  return {
    kind: "APIGroupList",
    apiVersion: "v1",
    groups: [...registry.groups().keys()].map((group) => groupEntry(registry, group)),
  };
}

/** `/apis/G`; undefined for a group that is not served. */
export function apiGroup(registry: Registry, group: string): object | undefined {
  return registry.groups().has(group)
    ? { kind: "APIGroup", apiVersion: "v1", ...groupEntry(registry, group) }
    : undefined;
}

function groupEntry(registry: Registry, group: string): object {
  const versions = (registry.groups().get(group) ?? []).map((version) => ({
    groupVersion: groupVersion(group, version),
    version,
  }));
  return { name: group, versions, preferredVersion: versions[0] };
}

/** `/api/v1` and `/apis/G/V`; undefined where nothing is served there. */
export function apiResourceList(registry: Registry, group: string, version: string): object | undefined {
  const resources = registry.inGroupVersion(group, version);
  if (resources.length === 0) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: groupVersion(group, version),
    resources: resources.flatMap((resource) => entries(resource, version)),
  };
}

/** Eight bytes that change when objects are stored in another version. */
function storageVersionHash({ group, storageVersion, kind, plural, storedAs }: Resource): string {
  // Kubernetes keeps some kinds as those that they come from.
  const home = storedAs === "events" ? "" : group;
  const version = plural === "customresourcedefinitions" ? "v1beta1" : storageVersion;
  const digest = createHash("sha256").update(`${home}/${version}/${kind}`).digest();
  return digest.subarray(0, 8).toString("base64");
}

function entries(resource: Resource, version: string): object[] {
  const { stored, plural, singular, kind, namespaced, shortNames, categories } = resource;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: verbsOf(resource),
      ...(shortNames.length === 0 ? {} : { shortNames }),
      ...(categories.length === 0 ? {} : { categories }),
      ...(stored ? { storageVersionHash: storageVersionHash(resource) } : {}),
    },
    ...subresourcesOf(resource, version).map(({ name, ...rest }) => ({
      name: `${plural}/${name}`,
      singularName: "",
      namespaced,
      ...rest,
    })),
  ];
}
