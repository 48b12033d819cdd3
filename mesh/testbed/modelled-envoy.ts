import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import {
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../envoy/generated/envoy/service/discovery/v3/discovery_pb.js";
import { type Runtime, RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { type ResourceType, typeUrls } from "../build/resource.ts";

type Request = MessageInitShape<typeof DeltaDiscoveryRequestSchema>;

const tableName = "http_proxy";
const layerName = "fl";

/** How a proxy would split the next request for a host. */
export interface Split {
  /** By cluster, 0 to 1. */
  readonly shares: ReadonlyMap<string, number>;
  /** Clusters with a share that the proxy does not have: such requests are answered 503. */
  readonly missing: readonly string[];
}

/**
 * A stock Envoy on delta ADS as far as its order of things goes, as measured on 1.40.
 *
 * A cluster that is new or has changed warms until endpoints arrive, while the old one serves; meanwhile Envoy neither
 * acknowledges clusters nor, on a new stream, asks for them. What it has taken outlives its streams.
 */
export function createModelledEnvoy(id: string, now: () => number) {
  const held: Readonly<Record<ResourceType, Map<string, string>>> = {
    runtime: new Map(),
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
    secret: new Map(),
  };
  const active = new Set<string>();
  const warming = new Map<string, number>();
  const assignments = new Set<string>();
  const asked = new Set<ResourceType>();
  let started = false;
  let unacknowledged: string[] = [];
  let routes: RouteConfiguration | undefined;
  let layer: Runtime["layer"];
  let write: ((bytes: Buffer) => void) | undefined;

  function send(type: ResourceType, request: Request): void {
    const isFirst = asked.size === 0;
    const message = create(DeltaDiscoveryRequestSchema, {
      typeUrl: typeUrls[type],
      ...(isFirst && {
        node: create(NodeSchema, { id, cluster: "caller.demo", metadata: { INTERCEPTION_MODE: "NONE" } }),
      }),
      ...(!asked.has(type) && { initialResourceVersions: Object.fromEntries(held[type]) }),
      ...request,
    });
    asked.add(type);
    write?.(Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)));
  }

  /** Asks for clusters where nothing warms. */
  function askForClusters(): void {
    if (!asked.has("cluster") && (!started || warming.size === 0)) send("cluster", {});
  }

  function askForEndpoints(subscribe: readonly string[], unsubscribe: readonly string[]): void {
    for (const name of unsubscribe) assignments.delete(name);
    for (const name of subscribe) assignments.add(name);
    const all = asked.has("endpoint") ? subscribe : [...assignments];
    if (all.length + unsubscribe.length > 0)
      send("endpoint", { resourceNamesSubscribe: [...all], resourceNamesUnsubscribe: [...unsubscribe] });
  }

  function takeClusters({ resources, removedResources, nonce }: DeltaDiscoveryResponse): void {
    const subscribe: string[] = [];
    for (const { name, version, resource } of resources) {
      if (held.cluster.get(name) === version) continue;
      held.cluster.set(name, version);
      const { clusterDiscoveryType } = unpacked(resource, ClusterSchema);
      if (clusterDiscoveryType.value !== Cluster_DiscoveryType.EDS) active.add(name);
      else {
        warming.set(name, now());
        if (!assignments.has(name)) subscribe.push(name);
      }
    }
    for (const name of removedResources) {
      active.delete(name);
      warming.delete(name);
      held.cluster.delete(name);
      held.endpoint.delete(name);
    }
    unacknowledged.push(nonce);
    askForEndpoints(
      subscribe,
      removedResources.filter((name) => assignments.has(name)),
    );
    warmed();
  }

  function takeEndpoints({ resources, removedResources, nonce }: DeltaDiscoveryResponse): void {
    for (const { name, version } of resources) held.endpoint.set(name, version);
    for (const name of removedResources) held.endpoint.delete(name);
    for (const name of [...resources.map((resource) => resource.name), ...removedResources])
      if (warming.delete(name)) active.add(name);
    send("endpoint", { responseNonce: nonce });
    warmed();
  }

  function warmed(): void {
    if (started && warming.size > 0) return;
    for (const nonce of unacknowledged) send("cluster", { responseNonce: nonce });
    unacknowledged = [];
    askForClusters();
    if (warming.size > 0) return;
    started = true;
    if (!asked.has("listener")) send("listener", {});
  }

  function take(type: ResourceType, response: DeltaDiscoveryResponse): void {
    if (type === "cluster") takeClusters(response);
    else if (type === "endpoint") takeEndpoints(response);
    else takeOther(type, response);
  }

  function takeOther(
    type: ResourceType,
    { resources, removedResources, nonce }: DeltaDiscoveryResponse,
  ): void {
    for (const { name, version, resource } of resources) {
      held[type].set(name, version);
      if (type === "route") routes = unpacked(resource, RouteConfigurationSchema);
      if (type === "runtime") ({ layer } = unpacked(resource, RuntimeSchema));
    }
    for (const name of removedResources) held[type].delete(name);
    send(type, { responseNonce: nonce });
    if (type === "listener" && !asked.has("route")) send("route", { resourceNamesSubscribe: [tableName] });
  }

  return {
    id,
    /** Opens a stream: says what it wants and holds in the order in which it first asked for the types. */
    connect(to: (bytes: Buffer) => void): void {
      write = to;
      asked.clear();
      unacknowledged = [];
      send("runtime", { resourceNamesSubscribe: [layerName] });
      askForClusters();
      askForEndpoints([], []);
      if (started) send("listener", {});
      if (routes !== undefined) send("route", { resourceNamesSubscribe: [tableName] });
    },
    disconnect(): void {
      write = undefined;
    },
    isConnected: (): boolean => write !== undefined,
    receive(bytes: Uint8Array): void {
      const response = fromBinary(DeltaDiscoveryResponseSchema, bytes);
      for (const [type, url] of Object.entries(typeUrls))
        if (url === response.typeUrl) take(type as ResourceType, response);
    },
    /** Since when a cluster is waiting for its endpoints, if any is. */
    warmingSince: (): number | undefined =>
      warming
        .values()
        .toArray()
        .sort((a, b) => a - b)[0],
    /** Undefined before it has routes of this host. */
    split(host: string): Split | undefined {
      // The first are for what asks for a tunnel.
      const route = routes?.virtualHosts.find(({ domains }) => domains.includes(host))?.routes.at(-1);
      if (route?.action.case !== "route") return undefined;
      const { clusterSpecifier } = route.action.value;
      if (clusterSpecifier.case === "cluster") return splitOf([[clusterSpecifier.value, 1]]);
      if (clusterSpecifier.case !== "weightedClusters") return undefined;
      const { clusters, runtimeKeyPrefix } = clusterSpecifier.value;
      return splitOf(
        clusters.map(({ name, weight }) => {
          const inForce = runtimeKeyPrefix === "" ? undefined : layer?.[`${runtimeKeyPrefix}.${name}`];
          return [name, typeof inForce === "number" ? inForce : (weight ?? 0)] as const;
        }),
      );
    },
  };

  function splitOf(weights: readonly (readonly [string, number])[]): Split {
    const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
    const taking = weights.filter(([, weight]) => weight > 0);
    return {
      shares: new Map(taking.map(([name, weight]) => [name, weight / total])),
      missing: taking.flatMap(([name]) => (active.has(name) ? [] : [name])),
    };
  }
}

export type ModelledEnvoy = ReturnType<typeof createModelledEnvoy>;

function unpacked<Schema extends DescMessage>(any: Any | undefined, schema: Schema): MessageShape<Schema> {
  const message = any && anyUnpack(any, schema);
  if (message === undefined) throw new Error(`no ${schema.typeName}`);
  return message;
}
