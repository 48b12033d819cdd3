import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption_HeaderAppendAction,
  type HeaderValueOptionSchema,
} from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import {
  RedirectAction_RedirectResponseCode as Code,
  type RedirectAction,
  RedirectActionSchema,
  type RetryPolicy,
  RetryPolicySchema,
  type Route,
  type RouteAction,
  type RouteAction_RequestMirrorPolicySchema,
  RouteActionSchema,
  RouteSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { HTTPFaultSchema } from "../../envoy/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { PreviousHostsPredicateSchema } from "../../envoy/generated/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
  FractionalPercentSchema,
} from "../../envoy/generated/envoy/type/v3/percent_pb.js";
import type {
  Fault,
  Forward,
  HeaderChanges,
  HttpMatch,
  HttpRoute,
  LiveCanary,
  Mirror,
  Redirect,
  Retries,
} from "../model/route.ts";
import { typed } from "./any.ts";
import type { RouteWeights } from "./live-canary.ts";
import { buildMatch } from "./match.ts";
import { canaryClusterKey, liveRouteMetadata } from "./telemetry.ts";
import { durationFromMs } from "./values.ts";

/** What a route is built with beside itself. */
export interface RouteContext {
  readonly weights: RouteWeights | undefined;
  readonly clusterOf: (destination: Mirror["destination"]) => string;
  readonly live: LiveCanary | undefined;
}

export const faultFilter = "envoy.filters.http.fault";

/**
 * Builds Envoy's routes for one HTTP route: one for each of its matches.
 *
 * A destination of weight 0 stays in the list, so a canary step changes numbers only. An absent timeout becomes an
 * explicit 0 (none), as Envoy's own default would be 15 s.
 *
 * @see envoy.config.route.v3.Route, RouteAction.timeout
 */
export function buildRoutes(route: HttpRoute, context: RouteContext): Route[] {
  const matches: readonly (HttpMatch | undefined)[] =
    route.matches.length === 0 ? [undefined] : route.matches;
  return matches.map((match) =>
    create(RouteSchema, {
      name: route.name === "" ? "default" : route.name,
      match: buildMatch(match),
      ...buildHeaders(route.headers),
      ...buildAction(route, match, context),
      ...(context.live && {
        metadata: { filterMetadata: { [liveRouteMetadata]: liveMetadata(context.live, context.weights) } },
      }),
    }),
  );
}

/** What the log of attempts is chosen by: which cluster is the canary's. */
function liveMetadata({ run, uid, canaryHost }: LiveCanary, weights: RouteWeights | undefined): JsonObject {
  const canary = weights?.destinations.find(({ destination }) => destination.host === canaryHost);
  return { run, canary: uid, ...(canary && { [canaryClusterKey]: canary.cluster }) };
}

function buildAction(
  { action, headers }: HttpRoute,
  match: HttpMatch | undefined,
  context: RouteContext,
): Pick<MessageInitShape<typeof RouteSchema>, "action" | "typedPerFilterConfig"> {
  switch (action.kind) {
    case "redirect":
      return { action: { case: "redirect", value: buildRedirect(action) } };
    case "direct-response":
      return {
        action: {
          case: "directResponse",
          value: {
            status: action.status,
            ...(action.body !== "" && { body: { specifier: { case: "inlineString", value: action.body } } }),
          },
        },
      };
    case "forward": {
      const faults = action.fault && buildFault(action.fault);
      const perFilter = faults && { typedPerFilterConfig: { [faultFilter]: faults } };
      const weights = context.weights;
      if (weights === undefined || !weights.destinations.some(({ weight }) => weight > 0)) {
        return { action: { case: "directResponse", value: { status: 503 } } };
      }
      return {
        action: { case: "route", value: buildForward(action, headers, match, weights, context) },
        ...perFilter,
      };
    }
  }
}

function buildForward(
  action: Forward,
  headers: HeaderChanges,
  match: HttpMatch | undefined,
  weights: RouteWeights,
  context: RouteContext,
): RouteAction {
  return create(RouteActionSchema, {
    ...buildClusters(weights),
    timeout: durationFromMs(action.timeout ?? 0),
    maxStreamDuration: {
      maxStreamDuration: durationFromMs(action.timeout ?? 0),
      grpcTimeoutHeaderMax: durationFromMs(action.timeout ?? 0),
    },
    ...(action.retries && { retryPolicy: buildRetries(action.retries) }),
    ...buildRewrite(action, match),
    ...hostRewrite(headers),
    requestMirrorPolicies: action.mirrors.map((mirror) => buildMirror(mirror, context)),
  });
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

/** @see envoy.config.route.v3.RetryPolicy; another host than those tried, up to 5 times, as Istio asks */
export function buildRetries({
  attempts,
  on,
  statusCodes,
  perTryTimeout,
  baseInterval,
}: Retries): RetryPolicy {
  return create(RetryPolicySchema, {
    retryOn: on,
    numRetries: attempts,
    retriableStatusCodes: [...statusCodes],
    retryHostPredicate: [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: { case: "typedConfig", value: typed(PreviousHostsPredicateSchema, {}) },
      },
    ],
    hostSelectionRetryMaxAttempts: 5n,
    ...(perTryTimeout !== undefined && { perTryTimeout: durationFromMs(perTryTimeout) }),
    ...(baseInterval !== undefined && { retryBackOff: { baseInterval: durationFromMs(baseInterval) } }),
  });
}

/** A rewritten path replaces the matched prefix, or the whole path of an exact or regex match. */
function buildRewrite(
  { rewrite }: Forward,
  match: HttpMatch | undefined,
): Pick<
  MessageInitShape<typeof RouteActionSchema>,
  "prefixRewrite" | "regexRewrite" | "hostRewriteSpecifier"
> {
  if (rewrite === undefined) return {};
  const authority = rewrite.authority && {
    hostRewriteSpecifier: { case: "hostRewriteLiteral" as const, value: rewrite.authority },
  };
  if (rewrite.pathRegex !== undefined) {
    const { pattern, substitution } = rewrite.pathRegex;
    return { ...authority, regexRewrite: { pattern: { regex: pattern }, substitution } };
  }
  if (rewrite.path === undefined) return { ...authority };
  if (match?.path?.kind === "regex") {
    return {
      ...authority,
      regexRewrite: { pattern: { regex: match.path.value }, substitution: rewrite.path },
    };
  }
  return { ...authority, prefixRewrite: rewrite.path };
}

function buildMirror(
  mirror: Mirror,
  { clusterOf }: RouteContext,
): MessageInitShape<typeof RouteAction_RequestMirrorPolicySchema> {
  return {
    cluster: clusterOf(mirror.destination),
    runtimeFraction: { defaultValue: fraction(mirror.percent) },
    traceSampled: false,
    disableShadowHostSuffixAppend: true,
  };
}

function buildRedirect({ path, authority, scheme, port, code }: Redirect): RedirectAction {
  const codes: Readonly<Record<number, Code>> = {
    301: Code.MOVED_PERMANENTLY,
    302: Code.FOUND,
    303: Code.SEE_OTHER,
    307: Code.TEMPORARY_REDIRECT,
    308: Code.PERMANENT_REDIRECT,
  };
  return create(RedirectActionSchema, {
    responseCode: codes[code] ?? Code.MOVED_PERMANENTLY,
    ...(authority !== undefined && { hostRedirect: authority }),
    ...(port !== undefined && { portRedirect: port }),
    ...(scheme !== undefined && { schemeRewriteSpecifier: { case: "schemeRedirect", value: scheme } }),
    ...(path !== undefined && { pathRewriteSpecifier: { case: "pathRedirect", value: path } }),
  });
}

/** @see envoy.extensions.filters.http.fault.v3.HTTPFault */
function buildFault({ delay, abort }: Fault): Any {
  return typed(HTTPFaultSchema, {
    ...(delay && {
      delay: {
        faultDelaySecifier: { case: "fixedDelay", value: durationFromMs(delay.duration) },
        percentage: fraction(delay.percent),
      },
    }),
    ...(abort && {
      abort: {
        errorType:
          abort.status.kind === "http"
            ? { case: "httpStatus", value: abort.status.code }
            : { case: "grpcStatus", value: abort.status.code },
        percentage: fraction(abort.percent),
      },
    }),
  });
}

/**
 * A percentage as Envoy's fraction. Whole percents are of HUNDRED: Envoy draws one random number for weights and
 * fractions, and only with another denominator than the weights' sum is one independent of the other.
 */
function fraction(percent: number): FractionalPercent {
  const [numerator, denominator] = Number.isInteger(percent)
    ? [percent, Denominator.HUNDRED]
    : Number.isInteger(percent * 100)
      ? [percent * 100, Denominator.TEN_THOUSAND]
      : [Math.round(percent * 10_000), Denominator.MILLION];
  return create(FractionalPercentSchema, { numerator, denominator });
}

function hasChanges({ request, response }: HeaderChanges): boolean {
  return [request, response].some(({ set, add, remove }) => set.length + add.length + remove.length > 0);
}

/** Envoy changes the host by a rewrite of its own, never as a header. */
function isHost(name: string): boolean {
  return name.toLowerCase() === "host" || name.toLowerCase() === ":authority";
}

function hostRewrite({ request }: HeaderChanges): {
  hostRewriteSpecifier?: { case: "hostRewriteLiteral"; value: string };
} {
  const host = request.set.find(([name]) => isHost(name))?.[1];
  return host === undefined ? {} : { hostRewriteSpecifier: { case: "hostRewriteLiteral", value: host } };
}

interface BuiltHeaders {
  readonly requestHeadersToAdd: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: MessageInitShape<typeof HeaderValueOptionSchema>[];
  readonly responseHeadersToRemove: string[];
}

function buildHeaders({ request, response }: HeaderChanges): BuiltHeaders {
  const option =
    (action: HeaderValueOption_HeaderAppendAction) =>
    ([key, value]: readonly [string, string]) => ({
      header: { key, value },
      appendAction: action,
    });
  const additions = ({ set, add }: HeaderChanges["request"]) => [
    ...set.filter(([name]) => !isHost(name)).map(option(Append.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...add.map(option(Append.APPEND_IF_EXISTS_OR_ADD)),
  ];
  return {
    requestHeadersToAdd: additions(request),
    requestHeadersToRemove: [...request.remove],
    responseHeadersToAdd: additions(response),
    responseHeadersToRemove: [...response.remove],
  };
}
