import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { ResourceType } from "../build/resource.ts";
import { listOf, objectOf } from "./json.ts";

/** What an Envoy says it runs, by type and name, in its own writing; without what its bootstrap brought. */
export type Running = ReadonlyMap<ResourceType, ReadonlyMap<string, JsonValue>>;

/**
 * Reads Envoy's `/config_dump?include_eds`.
 *
 * What is on its way counts as running: a cluster or a listener that warms replaces the active one of its name.
 *
 * @see envoy.admin.v3.ClustersConfigDump, EndpointsConfigDump, ListenersConfigDump, RoutesConfigDump, SecretsConfigDump
 * @throws Error where the text is no such dump
 */
export function readConfigDump(text: string): Running {
  const { configs } = objectOf(parse(text));
  if (!Array.isArray(configs)) throw new Error("this is no /config_dump of an Envoy: it has no `configs`");
  const running = new Map<ResourceType, Map<string, JsonValue>>();
  const add = (type: ResourceType, resource: JsonValue | undefined, nameField = "name") => {
    const name = objectOf(resource)[nameField];
    if (resource === undefined || typeof name !== "string") return;
    const named = running.get(type) ?? new Map<string, JsonValue>();
    running.set(type, named.set(name, resource));
  };
  for (const part of configs) {
    const section = objectOf(part);
    const each = (field: string) => listOf(section[field]).map(objectOf);
    switch (kindOf(section)) {
      case "ClustersConfigDump":
        for (const { cluster } of [...each("dynamic_active_clusters"), ...each("dynamic_warming_clusters")])
          add("cluster", cluster);
        break;
      case "EndpointsConfigDump":
        for (const { endpoint_config: assignment } of each("dynamic_endpoint_configs"))
          add("endpoint", assignment, "cluster_name");
        break;
      case "ListenersConfigDump":
        for (const { active_state: active, warming_state: warming } of each("dynamic_listeners"))
          add("listener", objectOf(warming).listener ?? objectOf(active).listener);
        break;
      case "RoutesConfigDump":
        for (const { route_config: table } of each("dynamic_route_configs")) add("route", table);
        break;
      case "SecretsConfigDump":
        for (const { secret } of [...each("dynamic_warming_secrets"), ...each("dynamic_active_secrets")])
          add("secret", secret);
        break;
    }
  }
  return running;
}

/**
 * Reads the layer `name` of Envoy's `/runtime`: values by key.
 *
 * @throws Error where the text is no such page
 */
export function readRuntimeLayer(text: string, name: string): ReadonlyMap<string, string> {
  const { layers, entries } = objectOf(parse(text));
  const index = listOf(layers).indexOf(name);
  const values = new Map<string, string>();
  for (const [key, entry] of Object.entries(objectOf(entries))) {
    const value = listOf(objectOf(entry).layer_values)[index];
    if (typeof value === "string" && value !== "") values.set(key, value);
  }
  return values;
}

function parse(text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw new Error("this is no page of an Envoy's admin: it is no JSON", { cause: error });
  }
}

function kindOf(section: JsonObject): string {
  const type = section["@type"];
  return typeof type === "string" ? type.slice(type.lastIndexOf(".") + 1) : "";
}
