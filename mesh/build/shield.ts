/**
 * The shield: a canary's failed request is tried once more on the primary, inside the proxy.
 *
 * Three routes stand for one: the canary's share of the shielded methods, by a fraction, goes to a composite cluster
 * [canary, primary] with one retry; the rest of them to the primary; other methods are split by weights as ever. A step
 * changes the fraction's runtime key beside the keys of the weights.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_LbPolicy as LbPolicy,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { RuntimeFractionalPercentSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import {
  HeaderMatcherSchema,
  type RetryPolicySchema,
  type RouteMatch,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { ClusterConfigSchema } from "../../envoy/generated/envoy/extensions/clusters/composite/v3/cluster_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "../../envoy/generated/envoy/type/v3/percent_pb.js";
import type { Forward, LiveCanary, Retries } from "../model/route.ts";
import { type RouteShield, shieldedArms } from "../model/shield.ts";
import { typed } from "./any.ts";
import { shieldClusterPrefix } from "./attempt-log.ts";
import { clusterStatSuffix } from "./bootstrap-telemetry.ts";
import { encodeResource, type Resource } from "./resource.ts";
import { clusterMetadata, type ServiceFacts } from "./telemetry.ts";
import { durationFromMs } from "./values.ts";

/** Last part of the runtime key of the share of requests that a shield covers, a fraction of a million. */
const shieldKeySuffix = ".shield";
/** What the fraction's numerator is a share of. */
const million = 1_000_000;

/** A composite cluster: the first attempt at the canary, the second at the primary. */
export interface ShieldCluster {
  readonly name: string;
  readonly canary: string;
  readonly primary: string;
  /** The canary's Service, as the series of callers name it. */
  readonly service: ServiceFacts;
}

/** What a shield makes of one route. */
export interface ShieldedRoute extends RouteShield {
  readonly cluster: ShieldCluster;
  /** Clusters of the two destinations. */
  readonly canary: string;
  readonly primary: string;
  /** Of a million requests, those that the canary's cluster meets first. */
  readonly share: number;
  /** Where the share stands; undefined: in the table. */
  readonly runtimeKey: string | undefined;
}

/** The runtime key of a shielded share. @param prefix that of the weights */
export function shieldKey(prefix: string): string {
  return prefix + shieldKeySuffix;
}

/** Whether a key of the layer is a fraction of a million, and no weight. */
export function isShieldKey(key: string): boolean {
  return key.endsWith(shieldKeySuffix);
}

/** The shield of a route as its table alone carries it; undefined where its run has none or it can't have one. */
export function shieldRoute(
  action: Forward,
  live: LiveCanary,
  clusterOf: (destination: Forward["destinations"][number]) => string,
): ShieldedRoute | undefined {
  const arms = shieldedArms(action, live);
  if (arms === undefined || live.shield === undefined) return undefined;
  const sum = arms.primary.weight + arms.canary.weight;
  if (sum <= 0) return undefined;
  const [canary, primary] = [clusterOf(arms.canary), clusterOf(arms.primary)];
  return {
    ...live.shield,
    cluster: shieldCluster(canary, primary, live),
    canary,
    primary,
    share: Math.round((arms.canary.weight / sum) * million),
    runtimeKey: undefined,
  };
}

function shieldCluster(
  canary: string,
  primary: string,
  { canaryHost, primaryHost }: LiveCanary,
): ShieldCluster {
  const ofPrimary = primary.slice(0, -primaryHost.length);
  const alike = ofPrimary === canary.slice(0, -canaryHost.length);
  const [name = "", namespace = ""] = canaryHost.split(".");
  return {
    // The primary's port and subset are told where they differ from the canary's.
    name: `${shieldClusterPrefix}${canary.slice(canary.indexOf("|") + 1)}${alike ? "" : `|${ofPrimary}`}`,
    canary,
    primary,
    service: { host: canaryHost, name, namespace },
  };
}

/**
 * Envoy's own limit of 3 retries at a time would leave most failures of a busy canary without an answer.
 *
 * @see envoy.extensions.clusters.composite.v3.ClusterConfig
 */
function buildShieldCluster({ name, canary, primary, service }: ShieldCluster): Cluster {
  return create(ClusterSchema, {
    name,
    altStatName: name + clusterStatSuffix,
    lbPolicy: LbPolicy.CLUSTER_PROVIDED,
    clusterDiscoveryType: {
      case: "clusterType",
      value: {
        name: "envoy.clusters.composite",
        typedConfig: typed(ClusterConfigSchema, { clusters: [{ name: canary }, { name: primary }] }),
      },
    },
    circuitBreakers: { thresholds: [shieldLimits] },
    metadata: { filterMetadata: { istio: clusterMetadata(service) } },
  });
}

/** The composite clusters as resources. */
export function encodeShields(shields: ReadonlyMap<string, ShieldCluster>): readonly Resource[] {
  return Array.from(shields.values(), (shield) =>
    encodeResource("cluster", shield.name, ClusterSchema, buildShieldCluster(shield)),
  );
}

const unlimited = 4_294_967_295;
const shieldLimits = {
  maxConnections: unlimited,
  maxPendingRequests: unlimited,
  maxRequests: unlimited,
  maxRetries: 1000,
};

/** The match for shielded methods; with the canary's share where `share` is set. @see RouteMatch.runtime_fraction */
export function shieldedMatch(match: RouteMatch, shield: ShieldedRoute, share: boolean): RouteMatch {
  const method = create(HeaderMatcherSchema, {
    name: ":method",
    headerMatchSpecifier: {
      case: "stringMatch",
      value: { matchPattern: { case: "safeRegex", value: { regex: shield.methods.join("|") } } },
    },
  });
  const limited = { ...match, headers: [...match.headers, method] };
  if (!share) return limited;
  const { runtimeKey } = shield;
  // With a key the table holds the safe state.
  const defaultValue = {
    numerator: runtimeKey === undefined ? shield.share : 0,
    denominator: Denominator.MILLION,
  };
  return {
    ...limited,
    runtimeFraction: create(RuntimeFractionalPercentSchema, { defaultValue, runtimeKey: runtimeKey ?? "" }),
  };
}

/** What counts as the canary's failure and Envoy can try again; gRPC's statuses where the answer has no more than that. */
const failures = [
  ...["5xx", "reset", "connect-failure", "refused-stream"],
  ...["unavailable", "deadline-exceeded", "internal", "resource-exhausted"],
];

/**
 * One more attempt, at the primary and at once: Envoy's usual back-off would have rescues wait. What the route's own
 * retries would try again is tried again too.
 */
export function shieldRetries(
  { hangAfter }: RouteShield,
  own: Retries | undefined,
): MessageInitShape<typeof RetryPolicySchema> {
  const conditions = new Set([...failures, ...(own?.on.split(",") ?? []).filter((on) => on !== "")]);
  const perTryTimeout = Math.min(hangAfter, own?.perTryTimeout || hangAfter);
  return {
    retryOn: [...conditions].join(","),
    numRetries: 1,
    retriableStatusCodes: [...(own?.statusCodes ?? [])],
    perTryTimeout: durationFromMs(perTryTimeout),
    retryBackOff: { baseInterval: durationFromMs(1), maxInterval: durationFromMs(10) },
  };
}
