import { fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { type Cluster, ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { type Listener, ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import { RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { findResource, type Layers } from "../build/resource-set.ts";
import type { View } from "../build/view.ts";

/** What one proxy holds, as messages; decoded when asked for. */
export interface ProxyResources {
  readonly listeners: readonly Listener[];
  routes(name: string): RouteConfiguration | undefined;
  cluster(name: string): Cluster | undefined;
  endpoints(name: string): ClusterLoadAssignment | undefined;
  /** Value of a key of its runtime layer; of a fraction its numerator, a share of a million. */
  runtime(key: string): number | undefined;
}

/** Decodes a proxy's view. */
export function resourcesOf({ resources }: View): ProxyResources {
  const listeners = resources.listener.flatMap((set) =>
    Array.from(set.values(), ({ any }) => fromBinary(ListenerSchema, fromBinary(AnySchema, any).value)),
  );
  const keys = new Map<string, number>();
  for (const set of resources.runtime)
    for (const { any } of set.values()) {
      const { layer } = fromBinary(RuntimeSchema, fromBinary(AnySchema, any).value);
      for (const [key, value] of Object.entries(layer ?? {})) {
        const number = typeof value === "object" && value !== null ? Reflect.get(value, "numerator") : value;
        if (typeof number === "number") keys.set(key, number);
      }
    }
  return {
    listeners,
    routes: once((name) =>
      decode(resources.route, name, (bytes) => fromBinary(RouteConfigurationSchema, bytes)),
    ),
    cluster: once((name) => decode(resources.cluster, name, (bytes) => fromBinary(ClusterSchema, bytes))),
    endpoints: once((name) =>
      decode(resources.endpoint, name, (bytes) => fromBinary(ClusterLoadAssignmentSchema, bytes)),
    ),
    runtime: (key) => keys.get(key),
  };
}

function decode<T>(layers: Layers, name: string, read: (bytes: Uint8Array) => T): T | undefined {
  const resource = findResource(layers, name);
  return resource && read(fromBinary(AnySchema, resource.any).value);
}

function once<T>(make: (name: string) => T): (name: string) => T {
  const made = new Map<string, T>();
  return (name) => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const value = make(name);
    made.set(name, value);
    return value;
  };
}
