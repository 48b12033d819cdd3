import type { HTTPRouteFilter, HTTPRouteMatch, HTTPRouteRule } from "../../../api/generated/httproutes.ts";
import type { Milliseconds } from "../../../lib/units.ts";
import { parseDuration } from "../../../lib/units.ts";
import {
  type Destination,
  defaultRetries,
  type HttpMatch,
  type HttpRoute,
  type NamedMatch,
  type Retries,
  type RouteAction,
} from "../../model/route.ts";
import { invalidBackend, type RouteSurroundings, resolveBackend } from "./backend.ts";
import { type Unresolved, unsupported } from "./conditions.ts";
import { type ReadFilters, readFilters, redirectOf, rewriteOf } from "./filters.ts";

/** A rule of an HTTPRoute or GRPCRoute as both are carried out. */
export interface Rule extends Pick<HTTPRouteRule, "name" | "retry" | "timeouts"> {
  readonly matches: readonly HttpMatch[];
  readonly filters: readonly HTTPRouteFilter[];
  readonly backendRefs: NonNullable<HTTPRouteRule["backendRefs"]>;
}

/** The matches of an HTTPRoute's rule: none means every path. @see gateway.networking.k8s.io HTTPRouteMatch */
export function readHttpMatches(matches: readonly HTTPRouteMatch[] = []): HttpMatch[] {
  return matches.length === 0 ? [readMatch({})] : matches.map(readMatch);
}

function readMatch({ path, method, headers = [], queryParams = [] }: HTTPRouteMatch): HttpMatch {
  const named = (entries: NonNullable<HTTPRouteMatch["headers"]>, name: (written: string) => string) => {
    // Of several entries for one name the first counts.
    const first = new Map(entries.toReversed().map((entry) => [name(entry.name), entry]));
    return [...first].reverse().map(
      ([key, { type, value }]): NamedMatch => ({
        name: key,
        not: false,
        match: { kind: type === "RegularExpression" ? "regex" : "exact", value },
      }),
    );
  };
  const byMethod: NamedMatch[] =
    method === undefined ? [] : [{ name: ":method", not: false, match: { kind: "exact", value: method } }];
  return {
    name: "",
    path: readPath(path),
    headers: [...byMethod, ...named(headers, (name) => name.toLowerCase())],
    queryParameters: named(queryParams, (name) => name),
    port: undefined,
    callers: undefined,
    statPrefix: undefined,
  };
}

/** A prefix is whole segments: `/a` takes `/a` and `/a/b`, not `/ab`. */
function readPath({
  type = "PathPrefix",
  value = "/",
}: NonNullable<HTTPRouteMatch["path"]> = {}): HttpMatch["path"] {
  if (type === "Exact") return { kind: "exact", value, ignoreCase: false };
  if (type === "RegularExpression") return { kind: "regex", value, ignoreCase: false };
  const prefix = value.replace(/\/+$/, "");
  if (prefix === "") return { kind: "prefix", value: "/", ignoreCase: false };
  return { kind: "segments", value: prefix, ignoreCase: false };
}

/** The routes of a rule, one a match, since what a rewrite does depends on the match. */
export function readRule(
  rule: Rule,
  position: number,
  around: RouteSurroundings,
  faults: Unresolved[],
): HttpRoute[] {
  const filters = readFilters(rule.filters, around, faults);
  const destinations = readDestinations(rule.backendRefs, position, around, faults);
  return rule.matches.map(
    (match): HttpRoute => ({
      position,
      delegate: undefined,
      name: rule.name ?? "",
      matches: [match],
      action: actionOf(rule, match, filters, destinations, around),
      headers: filters.headers,
      cors: filters.cors,
    }),
  );
}

/** A backend with a filter that is not carried out for it alone keeps its share, which is answered as an error. */
function readDestinations(
  refs: Rule["backendRefs"],
  position: number,
  around: RouteSurroundings,
  faults: Unresolved[],
): Destination[] {
  return refs.map(({ weight, filters = [], ...ref }, index) => {
    const resolved = resolveBackend(ref, around, faults);
    const refused = filters.flatMap(({ type }, at) =>
      ofOneBackend.has(type)
        ? []
        : [
            unsupported(
              `rules[${position}].backendRefs[${index}].filters[${at}]: \`${type}\` is not carried out for one backend: its share is answered as an error`,
            ),
          ],
    );
    faults.push(...refused);
    const { headers, unknown } = readFilters(
      filters.filter(({ type }) => ofOneBackend.has(type)),
      around,
      faults,
    );
    const host = unknown || refused.length > 0 ? invalidBackend : resolved.host;
    return { ...resolved, host, weight: weight ?? 1, headers };
  });
}

/** Filters that a backend may have of its own; one that is not known is told by `readFilters`. */
const ofOneBackend: ReadonlySet<HTTPRouteFilter["type"]> = new Set([
  "RequestHeaderModifier",
  "ResponseHeaderModifier",
  "ExtensionRef",
] as const);

function actionOf(
  { timeouts, retry }: Rule,
  match: HttpMatch,
  filters: ReadFilters,
  destinations: readonly Destination[],
  { hostnames, kind }: RouteSurroundings,
): RouteAction {
  if (filters.unknown) return { kind: "direct-response", status: 500, body: "", bytes: undefined };
  if (filters.redirect !== undefined) return redirectOf(filters.redirect, hostnames, match.path);
  // What leads nowhere is a gRPC caller's UNAVAILABLE, which is HTTP's 503.
  const nowhere = kind === "GRPCRoute" ? 503 : 500;
  if (!destinations.some(({ weight }) => weight > 0))
    return { kind: "direct-response", status: nowhere, body: "", bytes: undefined };
  const request = milliseconds(timeouts?.request);
  const backend = milliseconds(timeouts?.backendRequest);
  return {
    kind: "forward",
    destinations,
    // Without retries one try is the whole request.
    timeout: request ?? (retry === undefined ? backend : undefined),
    retries: readRetries(retry, backend),
    rewrite: filters.rewrite && rewriteOf(filters.rewrite, match.path),
    mirrors: filters.mirrors,
    fault: undefined,
    ...(nowhere === 500 && { missingClusterStatus: nowhere }),
  };
}

/** GEP-2257; 0s is none. */
function milliseconds(duration: string | undefined): Milliseconds | undefined {
  return duration === undefined ? undefined : parseDuration(duration) || undefined;
}

/** @see gateway.networking.k8s.io HTTPRouteRetry; attempts are 2 where it does not say */
function readRetries(retry: HTTPRouteRule["retry"], perTry: Milliseconds | undefined): Retries | undefined {
  if (retry === undefined)
    return perTry === undefined ? defaultRetries : { ...defaultRetries, perTryTimeout: perTry };
  if (retry.attempts === 0) return undefined;
  return {
    ...defaultRetries,
    attempts: retry.attempts ?? 2,
    statusCodes: retry.codes ?? [],
    baseInterval: milliseconds(retry.backoff),
    perTryTimeout: perTry,
  };
}
