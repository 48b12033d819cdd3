import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type {
  RetryPolicy,
  Route,
  RouteAction,
  VirtualHost,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { HTTPFaultSchema } from "../../envoy/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { faultFilter } from "../build/fault.ts";
import { weightsOf } from "./clusters.ts";
import type { ExplainedFault, ExplainedRetries, Explanation } from "./explanation.ts";
import { explainRedirect } from "./redirect.ts";
import type { ProxyResources } from "./resources.ts";
import { matchedLength, rewrittenPath } from "./rewrite.ts";
import { fractionOf, mismatch, type RoutedRequest, withoutQuery } from "./route-match.ts";
import { milliseconds, type ShieldedShare, shareOf } from "./shield.ts";

/**
 * The first route that fits, and why those before it did not; and the route before it that takes a share of the requests
 * for a shield, if one does.
 */
export function chooseRoute(
  { routes }: VirtualHost,
  request: RoutedRequest,
  resources: ProxyResources,
): {
  readonly route: Route | undefined;
  readonly shielded: ShieldedShare | undefined;
  readonly skipped: readonly string[];
} {
  const skipped: string[] = [];
  let shielded: ShieldedShare | undefined;
  for (const [index, route] of routes.entries()) {
    const share = shareOf(route.match?.runtimeFraction, resources);
    const fits = route.match === undefined ? "has no match" : mismatch(route.match, request);
    const why = fits ?? (share === 0 ? "takes 0 % of the requests" : undefined);
    if (why !== undefined) skipped.push(`${route.name || `#${index}`}: ${why}`);
    else if (share === undefined) return { route, shielded, skipped };
    else shielded ??= { route, share };
  }
  return { route: undefined, shielded, skipped };
}

/** What a route does with a request. */
export function explainAction(
  route: Route,
  request: RoutedRequest,
  resources: ProxyResources,
): Partial<Explanation> {
  const { action, match } = route;
  const fault = faultOf(route.typedPerFilterConfig[faultFilter]);
  switch (action.case) {
    case "redirect": {
      const matched = withoutQuery(request.path).slice(0, matchedLength(match, withoutQuery(request.path)));
      return { redirect: explainRedirect(action.value, request, matched), fault };
    }
    case "directResponse": {
      const body = action.value.body?.specifier;
      return {
        directResponse: {
          status: action.value.status,
          body: body?.case === "inlineString" ? body.value : "",
        },
        fault,
      };
    }
    case "route":
      return { ...explainForward(action.value, route, request, resources), fault };
    default:
      return { fault };
  }
}

function explainForward(
  action: RouteAction,
  { match }: Route,
  request: RoutedRequest,
  resources: ProxyResources,
): Partial<Explanation> {
  const weights = weightsOf(action, resources);
  const most = weights.toSorted((a, b) => b.share - a.share)[0];
  const authority =
    action.hostRewriteSpecifier.case === "hostRewriteLiteral"
      ? action.hostRewriteSpecifier.value
      : request.authority;
  const path = rewrittenPath(action, match, request.path);
  return {
    weights,
    cluster: most === undefined || most.share === 0 ? null : most.cluster,
    timeout: milliseconds(action.timeout) || null,
    retries: action.retryPolicy === undefined ? null : retriesOf(action.retryPolicy),
    rewrite: { authority, path },
    mirrors: action.requestMirrorPolicies.map(({ cluster, runtimeFraction }) => ({
      cluster,
      share: fractionOf(runtimeFraction?.defaultValue),
    })),
  };
}

function retriesOf({
  retryOn,
  numRetries,
  retriableStatusCodes,
  perTryTimeout,
}: RetryPolicy): ExplainedRetries | null {
  if (retryOn === "") return null;
  return {
    attempts: numRetries ?? 1,
    on: retryOn,
    statusCodes: retriableStatusCodes,
    perTryTimeout: milliseconds(perTryTimeout) || null,
  };
}

/** @see envoy.extensions.filters.http.fault.v3.HTTPFault */
function faultOf(config: Any | undefined): ExplainedFault | null {
  if (config === undefined) return null;
  const { delay, abort } = fromBinary(HTTPFaultSchema, config.value);
  if (delay === undefined && abort === undefined) return null;
  const fixed = delay?.faultDelaySecifier.case === "fixedDelay" ? delay.faultDelaySecifier.value : undefined;
  const status = abort?.errorType;
  return {
    delay: delay && fixed ? { milliseconds: milliseconds(fixed), share: fractionOf(delay.percentage) } : null,
    abort:
      status?.case === "httpStatus" || status?.case === "grpcStatus"
        ? { status: status.value, grpc: status.case === "grpcStatus", share: fractionOf(abort?.percentage) }
        : null,
  };
}
