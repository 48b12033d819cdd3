import type { Kind, UnreadObject } from "../api/resource.ts";
import type { Client } from "./contract.ts";
import { isNotFound } from "./error.ts";

interface ResourceList {
  readonly groupVersion?: string;
  readonly resources?: readonly Resource[];
}

interface Resource {
  readonly name: string;
  readonly singularName?: string;
  readonly shortNames?: readonly string[];
  readonly namespaced: boolean;
  readonly kind: string;
}

interface GroupList {
  readonly groups?: readonly { readonly preferredVersion?: { readonly groupVersion: string } }[];
}

/**
 * The kind that an object's `apiVersion` and `kind` name, as the server knows it.
 *
 * @returns undefined where the server does not serve it
 */
export async function discoverKind(
  client: Pick<Client, "request">,
  apiVersion: string,
  kind: string,
): Promise<Kind<UnreadObject> | undefined> {
  const { resources = [] } = await readResources(client, apiVersion);
  const found = resources.find((resource) => resource.kind === kind && !resource.name.includes("/"));
  return found && kindOf(apiVersion, found);
}

/**
 * The kind that a word of the command line means: plural, singular, short name or kind, with or without `.group`.
 *
 * The core group wins, then the server's order of groups, as with kubectl.
 */
export async function findKind(
  client: Pick<Client, "request">,
  word: string,
): Promise<Kind<UnreadObject> | undefined> {
  const [name = "", ...group] = word.toLowerCase().split(".");
  const groups: GroupList = await client.request("GET", "/apis");
  const named = (groups.groups ?? []).flatMap(({ preferredVersion }) => preferredVersion?.groupVersion ?? []);
  const versions =
    group.length > 0
      ? named.filter((version) => version.startsWith(`${group.join(".")}/`))
      : ["v1", ...named];
  const lists = await Promise.all(versions.map((version) => readResources(client, version)));
  for (const { groupVersion, resources = [] } of lists) {
    const found = resources.find(
      (resource) => !resource.name.includes("/") && namesOf(resource).includes(name),
    );
    if (found !== undefined && groupVersion !== undefined) return kindOf(groupVersion, found);
  }
  return undefined;
}

async function readResources(client: Pick<Client, "request">, apiVersion: string): Promise<ResourceList> {
  try {
    const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    return { groupVersion: apiVersion, ...(await client.request<ResourceList>("GET", path)) };
  } catch (error) {
    if (isNotFound(error)) return {};
    throw error;
  }
}

function namesOf({ name, singularName = "", shortNames = [], kind }: Resource): readonly string[] {
  return [name, singularName, kind.toLowerCase(), ...shortNames];
}

function kindOf(apiVersion: string, { name, kind, namespaced }: Resource): Kind<UnreadObject> {
  const [group = "", version = group] = apiVersion.split("/");
  return { group: apiVersion.includes("/") ? group : "", version, kind, plural: name, namespaced };
}
