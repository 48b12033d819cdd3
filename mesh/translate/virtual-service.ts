import { type RunMark, runAnnotation } from "../../api/annotations.ts";
import type {
  Headers,
  HttpRetry,
  HeaderOperations as WrittenOperations,
  HttpRoute as WrittenRoute,
} from "../../api/generated/virtualservices.ts";
import type { VirtualService } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { qualifiedHost } from "../model/names.ts";
import {
  type Destination,
  defaultRetries,
  type HeaderChanges,
  type HeaderOperations,
  type HttpMatch,
  type HttpRoute,
  type LiveCanary,
  type Retries,
  type RouteAction,
  type RouteTable,
} from "../model/route.ts";
import { readDuration } from "./duration.ts";
import { translateFault } from "./fault.ts";
import { translateMatch } from "./match.ts";
import { translateMirrors } from "./mirror.ts";
import { type Report, reportOn } from "./problem.ts";
import { translateRedirect, translateRewrite } from "./rewrite.ts";
import type { Scope } from "./scope.ts";

export interface TranslatedRoutes {
  /** undefined where it is not for sidecars. */
  readonly table: RouteTable | undefined;
  readonly problems: readonly Problem[];
  readonly createdAt: string;
}

/**
 * A VirtualService by itself: hosts made complete, defaults filled in. Whether its destinations exist is asked later,
 * so that the result depends on this object alone.
 *
 * @see networking.istio.io VirtualService
 */
export function translateVirtualService(object: VirtualService, domain: string): TranslatedRoutes {
  const problems: Problem[] = [];
  const source = refOf(object);
  const report = reportOn(source, problems);
  const { namespace = "default", creationTimestamp = "", annotations } = object.metadata;
  const { spec } = object;
  const gateways = spec.gateways ?? [];
  if (gateways.length > 0 && !gateways.includes("mesh"))
    return { table: undefined, problems, createdAt: creationTimestamp };
  const scope: Scope = { namespace, domain };
  const http: HttpRoute[] = [];
  for (const [index, route] of (spec.http ?? []).entries()) {
    const translated = translateRoute(route, index, scope, report.at("spec", "http", index));
    if (translated !== undefined) http.push(translated);
  }
  const mark = annotations?.[runAnnotation];
  const table: RouteTable = {
    source,
    namespace,
    hosts: (spec.hosts ?? []).map((host) => qualifiedHost(host.toLowerCase(), namespace, domain)),
    http,
    live: mark === undefined ? undefined : readRunMark(mark, report.at("metadata", "annotations")),
    createdAt: creationTimestamp,
  };
  return { table, problems, createdAt: creationTimestamp };
}

function translateRoute(
  route: WrittenRoute,
  position: number,
  scope: Scope,
  report: Report,
): HttpRoute | undefined {
  const matches: HttpMatch[] = [];
  for (const [index, match] of (route.match ?? []).entries()) {
    const translated = translateMatch(match, report.at("match", index));
    if (translated !== undefined) matches.push(translated);
  }
  if (route.match !== undefined && route.match.length > 0 && matches.length === 0) return undefined;
  if (route.delegate !== undefined) {
    report.problem("delegate", "is not carried out yet, so this route is left out");
    return undefined;
  }
  if (route.corsPolicy !== undefined) report.problem("corsPolicy", "is not carried out yet");
  const action = translateAction(route, scope, report);
  return (
    action && { position, name: route.name ?? "", matches, action, headers: translateHeaders(route.headers) }
  );
}

function translateAction(route: WrittenRoute, scope: Scope, report: Report): RouteAction | undefined {
  if (route.redirect !== undefined) return translateRedirect(route.redirect, report.at("redirect"));
  if (route.directResponse !== undefined) {
    const { status, body } = route.directResponse;
    if (body?.bytes !== undefined)
      report.problem("directResponse", "body.bytes is not carried out yet, use body.string");
    return { kind: "direct-response", status, body: body?.string ?? "" };
  }
  const written = route.route ?? [];
  if (written.length === 0) {
    report.problem("route", "names no destination, and there is no redirect or directResponse");
    return undefined;
  }
  return {
    kind: "forward",
    destinations: translateDestinations(written, scope, report),
    timeout: readDuration(route.timeout, "timeout", report) || undefined,
    retries: translateRetries(route.retries, report.at("retries")),
    rewrite: route.rewrite && translateRewrite(route.rewrite, report.at("rewrite")),
    mirrors: translateMirrors(route, scope),
    fault: route.fault && translateFault(route.fault, report.at("fault")),
  };
}

/** A lone destination takes all; of several, one without a weight takes nothing. */
function translateDestinations(
  written: NonNullable<WrittenRoute["route"]>,
  scope: Scope,
  report: Report,
): Destination[] {
  const destinations = written.map(({ destination, weight, headers }) => ({
    host: qualifiedHost(destination.host.toLowerCase(), scope.namespace, scope.domain),
    subset: destination.subset || undefined,
    port: destination.port?.number,
    weight: written.length === 1 ? 100 : (weight ?? 0),
    headers: translateHeaders(headers),
  }));
  const sum = destinations.reduce((total, { weight }) => total + weight, 0);
  if (sum === 0) report.problem("route", "weights sum to 0, so requests are answered with 503");
  else if (sum !== 100)
    report.problem("route", `weights sum to ${sum}, not 100: each is taken as its share of the sum`);
  return destinations;
}

/** @see networking.istio.io HTTPRetry: attempts ≤ 0 means none; numbers in retryOn are status codes. */
function translateRetries(retries: HttpRetry | undefined, report: Report): Retries | undefined {
  if (retries === undefined) return defaultRetries;
  const attempts = retries.attempts ?? defaultRetries.attempts;
  if (attempts <= 0) return undefined;
  const conditions = (retries.retryOn ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  const codes = conditions.filter((word) => /^\d+$/.test(word)).map(Number);
  const words = conditions.filter((word) => !/^\d+$/.test(word));
  if (codes.length > 0 && !words.includes("retriable-status-codes")) words.push("retriable-status-codes");
  return {
    attempts,
    on: words.length === 0 ? defaultRetries.on : words.join(","),
    statusCodes: codes,
    perTryTimeout: readDuration(retries.perTryTimeout, "perTryTimeout", report) || undefined,
    baseInterval: readDuration(retries.backoff, "backoff", report) || undefined,
  };
}

export function translateHeaders(headers: Headers | undefined): HeaderChanges {
  return { request: translateOperations(headers?.request), response: translateOperations(headers?.response) };
}

function translateOperations(operations: WrittenOperations | undefined): HeaderOperations {
  return {
    set: Object.entries(operations?.set ?? {}),
    add: Object.entries(operations?.add ?? {}),
    remove: operations?.remove ?? [],
  };
}

function readRunMark(json: string, report: Report): LiveCanary | undefined {
  let mark: Partial<RunMark> | undefined;
  try {
    mark = JSON.parse(json);
  } catch {
    mark = undefined;
  }
  const { canary, run, primaryHost, canaryHost } = mark ?? {};
  if (!canary?.namespace || !canary.name || !canary.uid || !run || !primaryHost || !canaryHost) {
    report.problem(runAnnotation, "is not a run mark, so the weights go by the route table");
    return undefined;
  }
  return { prefix: `fl.w.${canary.namespace}.${canary.name}`, run, uid: canary.uid, primaryHost, canaryHost };
}
