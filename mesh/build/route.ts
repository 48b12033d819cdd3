import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  RouteAction_ClusterNotFoundResponseCode as MissingCluster,
  type Route,
  type RouteAction,
  RouteActionSchema,
  RouteSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { Milliseconds } from "../../lib/units.ts";
import type { SessionHash } from "../model/destination-policy.ts";
import type { DirectResponse, Forward, HttpMatch, HttpRoute, LiveCanary, Mirror } from "../model/route.ts";
import { alpnAsAsked, alpnFilter } from "./alpn.ts";
import { canaryClusterKey, liveRouteMetadata } from "./attempt-log.ts";
import { buildCors, corsFilter } from "./cors.ts";
import { buildFault, faultFilter } from "./fault.ts";
import { mirrorFractions } from "./fraction.ts";
import { buildHeaders, hasChanges, hostRewrite } from "./header-changes.ts";
import type { RouteWeights } from "./live-canary.ts";
import { buildMatch } from "./match.ts";
import { buildRedirect, buildRewrite } from "./redirect.ts";
import { buildRetries } from "./retries.ts";
import { buildHashPolicy } from "./session-hash.ts";
import { type ShieldedRoute, shieldedMatch, shieldRetries } from "./shield.ts";
import { durationFromMs } from "./values.ts";

/** What a route is built with beside itself. */
export interface RouteContext {
  readonly weights: RouteWeights | undefined;
  readonly clusterOf: (destination: Mirror["destination"]) => string;
  readonly live: LiveCanary | undefined;
  /** Port of the listener. */
  readonly port: number;
  /** What of a request chooses its endpoint, as the destinations' policies say. */
  readonly hashes: readonly SessionHash[];
  /** Whether all destinations are spoken to as the client speaks to us. */
  readonly asAsked: boolean;
  /** Set for the requests that a shield covers, whose retries are its own. */
  readonly shield?: ShieldedRoute;
}

/**
 * Builds Envoy's routes for one HTTP route: one for each of its matches, three where a shield covers it.
 *
 * A destination of weight 0 stays in the list, so a canary step changes numbers only. An absent timeout becomes an
 * explicit 0 (none), as Envoy's own default would be 15 s.
 *
 * @see envoy.config.route.v3.Route, RouteAction.timeout
 */
export function buildRoutes(route: HttpRoute, context: RouteContext): Route[] {
  const matches: readonly (HttpMatch | undefined)[] =
    route.matches.length === 0 ? [undefined] : route.matches;
  const { weights } = context;
  const shield = weights?.shield;
  return matches.flatMap((match) => {
    const whole = buildRoute(route, match, context);
    if (weights === undefined || shield === undefined) return [whole];
    const met = { ...context, shield, weights: only(weights, shield.canary, shield.cluster.name) };
    const others = { ...context, weights: only(weights, shield.primary, shield.primary) };
    return [
      { ...buildRoute(route, match, met), match: shieldedMatch(buildMatch(match), shield, true) },
      { ...buildRoute(route, match, others), match: shieldedMatch(buildMatch(match), shield, false) },
      whole,
    ];
  });
}

/** All of a route's requests to the destination of one cluster, by the way of `through`. */
function only({ destinations }: RouteWeights, cluster: string, through: string): RouteWeights {
  return {
    destinations: destinations
      .filter((one) => one.cluster === cluster)
      .map((one) => ({ ...one, cluster: through, weight: 1 })),
    runtimePrefix: undefined,
    keys: [],
  };
}

function buildRoute(route: HttpRoute, match: HttpMatch | undefined, context: RouteContext): Route {
  return create(RouteSchema, {
    name: nameOf(route.name, match?.name ?? ""),
    match: buildMatch(match),
    ...buildHeaders(route.headers),
    ...buildAction(route, match, context),
    ...(match?.statPrefix !== undefined && { statPrefix: match.statPrefix }),
    ...(context.live && {
      metadata: { filterMetadata: { [liveRouteMetadata]: liveMetadata(context.live, context.weights) } },
    }),
  });
}

/** `<route>.<match>`, as Istio names them. */
function nameOf(route: string, match: string): string {
  if (route === "") return match === "" ? "default" : match;
  return match === "" ? route : `${route}.${match}`;
}

/** What the log of attempts is chosen by: which cluster is the canary's. */
function liveMetadata({ run, uid, canaryHost }: LiveCanary, weights: RouteWeights | undefined): JsonObject {
  const canary = weights?.destinations.find(({ destination }) => destination.host === canaryHost);
  return { run, canary: uid, ...(canary && { [canaryClusterKey]: canary.cluster }) };
}

type Action = Pick<MessageInitShape<typeof RouteSchema>, "action" | "typedPerFilterConfig">;

function buildAction(route: HttpRoute, match: HttpMatch | undefined, context: RouteContext): Action {
  const { action, cors } = route;
  const ofCors = cors && { [corsFilter]: buildCors(cors) };
  switch (action.kind) {
    case "redirect":
      return {
        action: { case: "redirect", value: buildRedirect(action, context.port) },
        ...perFilter({ ...ofCors }),
      };
    case "direct-response":
      return {
        action: { case: "directResponse", value: buildDirectResponse(action) },
        ...perFilter({ ...ofCors }),
      };
    case "forward": {
      const { weights } = context;
      if (weights === undefined || !weights.destinations.some(({ weight }) => weight > 0)) {
        return { action: { case: "directResponse", value: { status: 503 } } };
      }
      return {
        action: { case: "route", value: buildForward(action, route, match, weights, context) },
        ...perFilter({
          ...(action.fault && { [faultFilter]: buildFault(action.fault) }),
          ...ofCors,
          ...(context.asAsked && { [alpnFilter]: alpnAsAsked() }),
        }),
      };
    }
  }
}

function perFilter(configs: Record<string, Any>): Pick<Action, "typedPerFilterConfig"> {
  return Object.keys(configs).length === 0 ? {} : { typedPerFilterConfig: configs };
}

function buildDirectResponse({ status, body, bytes }: DirectResponse) {
  const specifier =
    bytes !== undefined
      ? { case: "inlineBytes" as const, value: Buffer.from(bytes, "base64") }
      : { case: "inlineString" as const, value: body };
  const hasBody = bytes !== undefined || body !== "";
  return { status, ...(hasBody && { body: { specifier } }) };
}

function buildForward(
  action: Forward,
  { headers }: HttpRoute,
  match: HttpMatch | undefined,
  weights: RouteWeights,
  context: RouteContext,
): RouteAction {
  const { hashes, shield } = context;
  const retryPolicy =
    shield === undefined
      ? action.retries && buildRetries(action.retries, hashes.length > 0)
      : shieldRetries(shield, action.retries);
  return create(RouteActionSchema, {
    ...buildClusters(weights),
    ...(action.missingClusterStatus === 500 && {
      clusterNotFoundResponseCode: MissingCluster.INTERNAL_SERVER_ERROR,
    }),
    ...buildTimeout(action.timeout ?? 0),
    ...(retryPolicy && { retryPolicy }),
    ...buildRewrite(action, match),
    ...hostRewrite(headers),
    requestMirrorPolicies: buildMirrors(action.mirrors, context),
    hashPolicy: hashes.map(buildHashPolicy),
  });
}

/**
 * Where `max_stream_duration` is set, Envoy's router has no timeout of its own: then streams and WebSockets would be cut
 * when it ends. So a timeout is the router's, and only its absence is said both ways. Callers of gRPC may ask for less.
 *
 * @see envoy.config.route.v3.RouteAction.timeout, max_grpc_timeout
 */
function buildTimeout(
  milliseconds: Milliseconds,
): Pick<MessageInitShape<typeof RouteActionSchema>, "timeout" | "maxGrpcTimeout" | "maxStreamDuration"> {
  const timeout = durationFromMs(milliseconds);
  if (milliseconds > 0) return { timeout, maxGrpcTimeout: timeout };
  return { timeout, maxStreamDuration: { maxStreamDuration: timeout, grpcTimeoutHeaderMax: timeout } };
}

function buildClusters({
  destinations,
  runtimePrefix,
}: RouteWeights): Pick<MessageInitShape<typeof RouteActionSchema>, "clusterSpecifier"> {
  const [only] = destinations;
  if (destinations.length === 1 && only !== undefined && !hasChanges(only.destination.headers)) {
    return { clusterSpecifier: { case: "cluster", value: only.cluster } };
  }
  return {
    clusterSpecifier: {
      case: "weightedClusters",
      value: {
        clusters: destinations.map(({ cluster, weight, destination }) => ({
          name: cluster,
          weight,
          ...buildHeaders(destination.headers),
          ...hostRewrite(destination.headers),
        })),
        ...(runtimePrefix !== undefined && { runtimeKeyPrefix: runtimePrefix }),
      },
    },
  };
}

function buildMirrors(mirrors: readonly Mirror[], { clusterOf }: RouteContext) {
  const fractions = mirrorFractions(mirrors.map(({ percent }) => percent));
  return mirrors.map(({ destination }, index) => {
    const defaultValue = fractions[index];
    return {
      cluster: clusterOf(destination),
      ...(defaultValue && { runtimeFraction: { defaultValue } }),
      traceSampled: false,
      disableShadowHostSuffixAppend: true,
    };
  });
}
