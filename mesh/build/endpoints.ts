import { create } from "@bufbuild/protobuf";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Endpoint } from "../model/endpoint.ts";
import type { LocalityGroup } from "../model/locality.ts";
import { endpointMetadata } from "./telemetry.ts";
import { pipe, socketAddress } from "./values.ts";

/**
 * Builds the endpoints of a cluster.
 *
 * Each carries its workload's facts, by which the caller's metrics name the destination, and how it is reached
 * (`tlsMode: istio` where it has a sidecar).
 *
 * @see envoy.config.endpoint.v3.ClusterLoadAssignment
 */
export function buildEndpoints(
  clusterName: string,
  groups: readonly LocalityGroup<Endpoint>[],
): ClusterLoadAssignment {
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: groups
      .filter(({ endpoints }) => endpoints.length > 0)
      .map(({ locality, priority, weight, endpoints }) => ({
        ...(locality && {
          locality: { region: locality.region, zone: locality.zone, subZone: locality.subzone },
        }),
        priority,
        ...(weight !== undefined && { loadBalancingWeight: weight }),
        lbEndpoints: endpoints.map(buildEndpoint),
      })),
  });
}

/** A Unix socket has no port. */
function placeOf(address: string, port: number) {
  return address.startsWith("unix://") ? pipe(address.slice("unix://".length)) : socketAddress(address, port);
}

function buildEndpoint({ address, port, facts, mutualTls, weight }: Endpoint) {
  const workload = [
    facts.workload,
    facts.namespace,
    facts.canonicalName,
    facts.canonicalRevision,
    facts.cluster,
  ].join(";");
  return {
    hostIdentifier: { case: "endpoint" as const, value: { address: placeOf(address, port) } },
    ...(weight !== undefined && { loadBalancingWeight: weight }),
    metadata: {
      filterMetadata: {
        istio: { ...endpointMetadata(facts), workload },
        ...(mutualTls && { "envoy.transport_socket_match": { tlsMode: "istio" } }),
      },
    },
  };
}
