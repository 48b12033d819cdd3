import { fromBinary } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import type { RuntimeFractionalPercent } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import type { Route } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { ClusterConfigSchema } from "../../envoy/generated/envoy/extensions/clusters/composite/v3/cluster_pb.js";
import { shares } from "./clusters.ts";
import type { Explanation } from "./explanation.ts";
import type { ProxyResources } from "./resources.ts";
import { fractionOf } from "./route-match.ts";

/** A route that takes a share of the requests, 0-1. */
export interface ShieldedShare {
  readonly route: Route;
  readonly share: number;
}

/** The share of a route that takes a fraction of the requests, with the runtime key in force; undefined for all of them. */
export function shareOf(
  fraction: RuntimeFractionalPercent | undefined,
  resources: ProxyResources,
): number | undefined {
  if (fraction === undefined) return undefined;
  const { runtimeKey, defaultValue } = fraction;
  const numerator = runtimeKey === "" ? undefined : resources.runtime(runtimeKey);
  return numerator === undefined ? fractionOf(defaultValue) : numerator / 1_000_000;
}

/** What a shield adds to what becomes of the other requests: the canary's cluster with its share, and who answers for it. */
export function explainShield(
  { route, share }: ShieldedShare,
  { weights = [] }: Partial<Explanation>,
  resources: ProxyResources,
): Pick<Explanation, "shield" | "weights" | "cluster"> | Record<string, never> {
  const action = route.action.case === "route" ? route.action.value : undefined;
  const name = action?.clusterSpecifier.case === "cluster" ? action.clusterSpecifier.value : "";
  const by = resources.cluster(name)?.clusterDiscoveryType;
  const config = by?.case === "clusterType" ? by.value.typedConfig : undefined;
  const [first, second] = config === undefined ? [] : fromBinary(ClusterConfigSchema, config.value).clusters;
  if (first === undefined || second === undefined) return {};
  const all = shares([
    ...weights.map(({ cluster, share: own }) => ({ cluster, weight: own * (1 - share) })),
    { cluster: first.name, weight: share },
  ]);
  const [most] = all.toSorted((a, b) => b.share - a.share);
  return {
    weights: all,
    cluster: most?.cluster ?? null,
    shield: {
      cluster: first.name,
      share,
      rescuedBy: second.name,
      hangAfter: milliseconds(action?.retryPolicy?.perTryTimeout) || null,
    },
  };
}

/** Of a duration; 0 where there is none. */
export function milliseconds(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
