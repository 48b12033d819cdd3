import { Cluster_DiscoveryType as Discovery } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { LbEndpoint } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_components_pb.js";
import type {
  RouteAction,
  WeightedCluster_ClusterWeight,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { ExplainedEndpoint, WeightedCluster } from "./explanation.ts";
import type { ProxyResources } from "./resources.ts";

/** The clusters among which a route chooses, with the weights in force: runtime keys beat the table. */
export function weightsOf(
  { clusterSpecifier: by }: Pick<RouteAction, "clusterSpecifier">,
  resources: ProxyResources,
): readonly WeightedCluster[] {
  if (by.case === "cluster") return [{ cluster: by.value, weight: 1, share: 1 }];
  if (by.case !== "weightedClusters") return [];
  const { clusters, runtimeKeyPrefix } = by.value;
  const weightOf = ({ name, weight = 0 }: WeightedCluster_ClusterWeight) =>
    (runtimeKeyPrefix === "" ? undefined : resources.runtime(`${runtimeKeyPrefix}.${name}`)) ?? weight;
  return shares(clusters.map((entry) => ({ cluster: entry.name, weight: weightOf(entry) })));
}

/** Adds each one's share of the sum. */
export function shares(
  weights: readonly { readonly cluster: string; readonly weight: number }[],
): WeightedCluster[] {
  const sum = weights.reduce((total, { weight }) => total + weight, 0);
  return weights.map((entry) => ({ ...entry, share: sum === 0 ? 0 : entry.weight / sum }));
}

/** The addresses behind a cluster; of one that goes to the original destination, that. */
export function endpointsOf(
  name: string,
  resources: ProxyResources,
  destination: { readonly address: string; readonly port: number } | undefined,
): readonly ExplainedEndpoint[] {
  const cluster = resources.cluster(name);
  const by = cluster?.clusterDiscoveryType;
  if (by?.case === "type" && by.value === Discovery.ORIGINAL_DST)
    return destination === undefined ? [] : [{ cluster: name, ...destination }];
  const assignment = cluster?.loadAssignment ?? resources.endpoints(name);
  return (assignment?.endpoints ?? []).flatMap(({ lbEndpoints }) =>
    lbEndpoints.flatMap((one) => addressOf(one, name)),
  );
}

function addressOf({ hostIdentifier }: LbEndpoint, cluster: string): readonly ExplainedEndpoint[] {
  const address = hostIdentifier.case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
  if (address?.case === "pipe") return [{ cluster, address: address.value.path, port: 0 }];
  if (address?.case !== "socketAddress") return [];
  const { portSpecifier } = address.value;
  return [
    {
      cluster,
      address: address.value.address,
      port: portSpecifier.case === "portValue" ? portSpecifier.value : 0,
    },
  ];
}
