import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  Cluster_SlowStartConfigSchema,
  type ClusterSchema,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { LoadBalancer, SessionHash, Warmup } from "../model/destination-policy.ts";
import { durationFromMs } from "./values.ts";

type Balancing = Pick<MessageInitShape<typeof ClusterSchema>, "lbPolicy" | "lbConfig">;

/** Istio's: enough entries for an even split among some tens of endpoints. */
const smallestRing = 1024n;

/**
 * How endpoints are chosen: least requests unless the policy says otherwise.
 *
 * @see envoy.config.cluster.v3.Cluster.LbPolicy, Cluster.RingHashLbConfig, MaglevLbConfig, SlowStartConfig
 */
export function buildBalancing(loadBalancer: LoadBalancer | undefined): Balancing {
  if (loadBalancer?.hash !== undefined) return buildTable(loadBalancer.hash);
  const warmup = loadBalancer?.warmup && { slowStartConfig: buildWarmup(loadBalancer.warmup) };
  switch (loadBalancer?.algorithm) {
    case "round-robin":
      return {
        lbPolicy: LbPolicy.ROUND_ROBIN,
        ...(warmup && { lbConfig: { case: "roundRobinLbConfig", value: warmup } }),
      };
    case "random":
      return { lbPolicy: LbPolicy.RANDOM };
    default:
      return {
        lbPolicy: LbPolicy.LEAST_REQUEST,
        ...(warmup && { lbConfig: { case: "leastRequestLbConfig", value: warmup } }),
      };
  }
}

function buildTable({ table }: SessionHash): Balancing {
  if (table.kind === "maglev") {
    const tableSize = table.size === undefined ? {} : { tableSize: BigInt(table.size) };
    return { lbPolicy: LbPolicy.MAGLEV, lbConfig: { case: "maglevLbConfig", value: tableSize } };
  }
  const minimumRingSize = table.size === undefined ? smallestRing : BigInt(table.size);
  return { lbPolicy: LbPolicy.RING_HASH, lbConfig: { case: "ringHashLbConfig", value: { minimumRingSize } } };
}

function buildWarmup({ duration, aggression, minimumPercent }: Warmup) {
  return create(Cluster_SlowStartConfigSchema, {
    slowStartWindow: durationFromMs(duration),
    aggression: { defaultValue: aggression, runtimeKey: "fairlead.no-such-key" },
    minWeightPercent: { value: minimumPercent },
  });
}
