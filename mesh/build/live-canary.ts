import type { Destination, LiveCanary } from "../model/route.ts";
import { type ShieldedRoute, shieldKey } from "./shield.ts";
import { normaliseWeights, totalWeight } from "./weights.ts";

/** A route's destination with the cluster it stands for and its share of the weights' sum. */
export interface WeightedDestination {
  readonly destination: Destination;
  readonly cluster: string;
  readonly weight: number;
}

/** The weights of one route, and where they stand. */
export interface RouteWeights {
  readonly destinations: readonly WeightedDestination[];
  /** Set where runtime keys rule and `destinations` hold the safe state. */
  readonly runtimePrefix: string | undefined;
  /** Set where the primary answers for the canary; the weights then are for other methods. */
  readonly shield?: ShieldedRoute | undefined;
  /** Keys of the layer `fl` with the weights in force. */
  readonly keys: readonly (readonly [string, number])[];
}

/** Weights as the table itself carries them, `total` in all. */
export function plainWeights(
  destinations: readonly Destination[],
  clusterOf: (destination: Destination) => string,
  total = totalWeight,
  shield?: ShieldedRoute,
): RouteWeights {
  const weights = normaliseWeights(
    destinations.map(({ weight }) => weight),
    total,
  );
  return {
    destinations: destinations.map((destination, index) => ({
      destination,
      cluster: clusterOf(destination),
      weight: weights[index] ?? 0,
    })),
    runtimePrefix: undefined,
    shield,
    keys: [],
  };
}

/**
 * Weights of a live canary's route: the table gets the safe state (the canary's share with the primary), the runtime
 * layer what is in force, so that a step moves two small numbers and no table.
 *
 * Plain where the route does not lead to both arms.
 */
export function liveWeights(
  live: LiveCanary,
  destinations: readonly Destination[],
  clusterOf: (destination: Destination) => string,
  total = totalWeight,
  shield?: ShieldedRoute,
): RouteWeights {
  const plain = plainWeights(destinations, clusterOf, total, shield);
  const arms = plain.destinations.map(({ destination }) => destination.host);
  const onlyBothArms =
    destinations.length === 2 && arms.includes(live.primaryHost) && arms.includes(live.canaryHost);
  const hasTraffic = plain.destinations.some(({ weight }) => weight > 0);
  if (!onlyBothArms || !hasTraffic) return plain;
  return {
    destinations: plain.destinations.map((entry) => ({
      ...entry,
      weight: entry.destination.host === live.primaryHost ? total : 0,
    })),
    runtimePrefix: live.prefix,
    shield: shield && { ...shield, runtimeKey: shieldKey(live.prefix) },
    keys: [
      ...plain.destinations.map(({ cluster, weight }) => [`${live.prefix}.${cluster}`, weight] as const),
      ...(shield === undefined ? [] : [[shieldKey(live.prefix), shield.share] as const]),
    ],
  };
}
