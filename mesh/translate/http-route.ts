import type { HttpRoute as WrittenRoute } from "../../api/generated/virtualservices.ts";
import type { ResourceRef } from "../../api/resource.ts";
import type { HttpMatch, HttpRoute, RouteAction } from "../model/route.ts";
import { translateCors } from "./cors.ts";
import { translateDestinations } from "./destinations.ts";
import { readDuration } from "./duration.ts";
import { translateFault } from "./fault.ts";
import { translateHeaders } from "./headers.ts";
import { translateMatch } from "./match.ts";
import { translateMirrors } from "./mirror.ts";
import type { Report } from "./problem.ts";
import { translateRetries } from "./retries.ts";
import { translateRedirect, translateRewrite } from "./rewrite.ts";
import type { Scope } from "./scope.ts";

/** Envoy takes no longer one by default, and Istio none longer than this. */
const longestBody = 1024 * 1024;

/**
 * One entry of `spec.http`; undefined where it can never fit or says nothing.
 *
 * @param report at the route
 * @param delegate the VirtualService in which it stands, where another delegates to that
 * @see networking.istio.io HTTPRoute
 */
export function translateHttpRoute(
  route: WrittenRoute,
  position: number,
  scope: Scope,
  report: Report,
  delegate?: ResourceRef,
): HttpRoute | undefined {
  const matches: HttpMatch[] = [];
  for (const [index, match] of (route.match ?? []).entries()) {
    const translated = translateMatch(match, scope.namespace, report.at("match", index));
    if (translated !== undefined) matches.push(translated);
  }
  if (route.match !== undefined && route.match.length > 0 && matches.length === 0) return undefined;
  const action = translateAction(route, scope, report);
  return (
    action && {
      position,
      delegate,
      name: route.name ?? "",
      matches,
      action,
      headers: translateHeaders(route.headers),
      cors: route.corsPolicy && translateCors(route.corsPolicy, report.at("corsPolicy")),
    }
  );
}

function translateAction(route: WrittenRoute, scope: Scope, report: Report): RouteAction | undefined {
  if (route.redirect !== undefined) return translateRedirect(route.redirect, report.at("redirect"));
  if (route.directResponse !== undefined)
    return translateDirectResponse(route.directResponse, report.at("directResponse"));
  const written = route.route ?? [];
  if (written.length === 0) {
    report.problem("route", "names no destination, and there is no redirect, directResponse or delegate");
    return undefined;
  }
  return {
    kind: "forward",
    destinations: translateDestinations(written, scope, report, "requests are answered with 503"),
    timeout: readDuration(route.timeout, "timeout", report) || undefined,
    retries: translateRetries(route.retries, report.at("retries")),
    rewrite: route.rewrite && translateRewrite(route.rewrite, report.at("rewrite")),
    mirrors: translateMirrors(route, scope),
    fault: route.fault && translateFault(route.fault, report.at("fault")),
  };
}

function translateDirectResponse(
  { status, body }: NonNullable<WrittenRoute["directResponse"]>,
  report: Report,
): RouteAction {
  const size = Buffer.byteLength(
    body?.bytes ?? body?.string ?? "",
    body?.bytes === undefined ? "utf8" : "base64",
  );
  const fits = size <= longestBody;
  if (!fits) report.problem("body", `is of ${size} bytes, more than ${longestBody}, so none is sent`);
  return {
    kind: "direct-response",
    status,
    body: fits ? (body?.string ?? "") : "",
    bytes: fits ? body?.bytes : undefined,
  };
}
