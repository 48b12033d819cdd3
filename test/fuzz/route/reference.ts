/**
 * A second opinion that knows nothing of Envoy: the name of the route that a VirtualService means, read from the
 * manifest itself as Istio's documentation describes it.
 */
import { RE2JS } from "re2js";
import type { HttpMatchRequest, HttpRoute, StringMatch } from "../../../api/generated/virtualservices.ts";
import { authorityOf, type RouteRequest } from "../../../mesh/explain/request.ts";
import { normalizePath } from "../../../policy/path/normalize.ts";
import { domain, home, services } from "./alphabet.ts";
import type { Config, DrawnTable } from "./generate.ts";

/** Who asks: what `sourceLabels` and `sourceNamespace` are compared with. */
export const caller = { namespace: home, labels: { app: "caller", tier: "web" } } as const;

/** What the VirtualServices say of a request: the name of a route, that none fits, or nothing at all. */
export type Meant = { readonly route: string } | "no route" | undefined;

/** The route that is meant; undefined where no VirtualService is for this host. */
export function meantRoute({ tables }: Config, request: RouteRequest): Meant {
  const host = fullHost(request.host);
  const seen = tables.flatMap((table) => {
    const bound = (table.spec.gateways ?? ["mesh"]).includes("mesh");
    const http = (table.spec.http ?? []).flatMap((route) => forCaller(route, bound) ?? []);
    // One that has nothing for this caller, or is for gateways alone, stands in nobody's way.
    return http.length > 0 ? [{ ...table, spec: { ...table.spec, http } }] : [];
  });
  const routes = mostExact(seen, host)?.spec.http ?? [];
  if (routes.length === 0) return undefined;
  const found = routes.find(
    ({ match = [] }) => match.length === 0 || match.some((one) => fits(one, request)),
  );
  return found === undefined ? "no route" : { route: found.name ?? "default" };
}

/** The route with what of its matches is for the caller and readable; undefined where nothing is left. */
function forCaller(route: HttpRoute, bound: boolean): HttpRoute | undefined {
  if (route.match === undefined || route.match.length === 0) return bound ? route : undefined;
  const match = route.match.filter((one) => isForCaller(one, bound) && !hasEmptyPattern(one));
  return match.length === 0 ? undefined : { ...route, match };
}

/** A match's own gateways stand in place of the table's. */
function isForCaller(
  { gateways = [], sourceNamespace, sourceLabels = {} }: HttpMatchRequest,
  bound: boolean,
): boolean {
  if (gateways.length > 0 ? !gateways.includes("mesh") : !bound) return false;
  const labels: Readonly<Record<string, string>> = caller.labels;
  return (
    (sourceNamespace === undefined || sourceNamespace === caller.namespace) &&
    Object.entries(sourceLabels).every(([name, value]) => labels[name] === value)
  );
}

/** Callers write a Service's name short; other hosts are names of their own. */
function fullHost(host: string): string {
  const name = host
    .toLowerCase()
    .replace(`.svc.${domain}`, "")
    .replace(/\.svc$/, "");
  const service = services.find(
    (one) => name === `${one.name}.${one.namespace}` || (one.namespace === home && name === one.name),
  );
  return service === undefined ? host.toLowerCase() : `${service.name}.${service.namespace}.svc.${domain}`;
}

/** The exact host beats a wildcard, a longer wildcard a shorter one, the older table the younger. */
function mostExact(tables: readonly DrawnTable[], host: string): DrawnTable | undefined {
  const ranked = tables.flatMap((table) =>
    (table.spec.hosts ?? []).flatMap((written) => {
      const pattern = written.includes(".") ? written : `${written}.${home}.svc.${domain}`;
      if (pattern === host) return [{ table, length: Number.POSITIVE_INFINITY }];
      return pattern.startsWith("*") && host.endsWith(pattern.slice(1))
        ? [{ table, length: pattern.length }]
        : [];
    }),
  );
  const age = ({ createdAt, name }: DrawnTable) => `${createdAt} ${name}`;
  ranked.sort((a, b) => b.length - a.length || (age(a.table) < age(b.table) ? -1 : 1));
  return ranked[0]?.table;
}

/** Envoy refuses an empty pattern: such a match is left out. */
function hasEmptyPattern(match: HttpMatchRequest): boolean {
  const written = [match.uri, match.method, match.scheme, match.authority];
  const named = [match.headers, match.withoutHeaders, match.queryParams].flatMap((all) =>
    Object.values(all ?? {}),
  );
  return [...written, ...named].some((one) => one?.regex === "");
}

function fits(match: HttpMatchRequest, request: RouteRequest): boolean {
  if (match.port !== undefined && match.port !== request.port) return false;
  const normalized = normalizePath(request.path, "BASE");
  const whole = "path" in normalized ? normalized.path : "";
  const [path = "", query = ""] = whole.split(/\?(.*)/s);
  const { uri, ignoreUriCase = false } = match;
  if (
    uri !== undefined &&
    !(ignoreUriCase && uri.regex === undefined
      ? textFits(lower(uri), path.toLowerCase())
      : textFits(uri, path))
  )
    return false;
  if (match.method !== undefined && !textFits(match.method, request.method)) return false;
  if (match.scheme !== undefined && !textFits(match.scheme, "http")) return false;
  if (match.authority !== undefined && !textFits(match.authority, authorityOf(request))) return false;
  const lines = (name: string) =>
    request.headers.filter(([key]) => key === name.toLowerCase()).map(([, value]) => value);
  for (const [name, written] of Object.entries(match.headers ?? {}))
    if (!lines(name).some((line) => textFits(written, line))) return false;
  for (const [name, written] of Object.entries(match.withoutHeaders ?? {})) {
    const found = lines(name);
    if (isPresence(written) ? found.length > 0 : absentAsEmpty(found).some((line) => textFits(written, line)))
      return false;
  }
  const parameters = query.split("&").map((pair) => pair.split(/=(.*)/s));
  for (const [name, written] of Object.entries(match.queryParams ?? {})) {
    const first = parameters.find(([key]) => key === name);
    if (first === undefined || !textFits(written, first[1] ?? "")) return false;
  }
  return true;
}

/** As Istio builds it: where a value must not be there, an absent header counts as an empty one. */
function absentAsEmpty(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [""] : lines;
}

function isPresence({ exact, prefix, regex }: StringMatch): boolean {
  return exact === undefined && prefix === undefined && regex === undefined;
}

function lower({ exact, prefix, regex }: StringMatch): StringMatch {
  return {
    ...(exact !== undefined && { exact: exact.toLowerCase() }),
    ...(prefix !== undefined && { prefix: prefix.toLowerCase() }),
    ...(regex !== undefined && { regex }),
  };
}

function textFits({ exact, prefix, regex }: StringMatch, text: string): boolean {
  if (exact !== undefined) return text === exact;
  if (prefix !== undefined) return text.startsWith(prefix);
  return regex === undefined || RE2JS.matches(regex, text);
}
