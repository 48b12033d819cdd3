import { RE2JS } from "re2js";
import type { HttpMatchRequest, StringMatch as WrittenMatch } from "../../api/generated/virtualservices.ts";
import type { ClaimMatch, HttpMatch, NamedMatch, StringMatch } from "../model/route.ts";
import { translateCallers } from "./caller-match.ts";
import type { Report } from "./problem.ts";

/**
 * One entry of `match`; undefined where it can never fit, because a part of it cannot be read.
 *
 * @param namespace of its VirtualService
 * @see networking.istio.io HTTPMatchRequest
 */
export function translateMatch(
  match: HttpMatchRequest,
  namespace: string,
  report: Report,
): HttpMatch | undefined {
  const headers: NamedMatch[] = [];
  let readable = true;
  const add = (to: NamedMatch[], name: string, written: WrittenMatch, not: boolean, at: Report) => {
    const value = readMatch(written, at);
    if (value === undefined) readable = false;
    else to.push({ name, match: value, not });
  };
  if (match.method) add(headers, ":method", match.method, false, report.at("method"));
  if (match.scheme) add(headers, ":scheme", match.scheme, false, report.at("scheme"));
  if (match.authority) add(headers, ":authority", match.authority, false, report.at("authority"));
  const claims: ClaimMatch[] = [];
  const addHeader = (name: string, written: WrittenMatch, not: boolean, at: Report) => {
    const path = claimPath(name);
    if (path === undefined) return add(headers, name.toLowerCase(), written, not, at);
    const value = readMatch(written, at);
    if (value === undefined) readable = false;
    else claims.push({ path, match: value, not });
  };
  for (const [name, value] of Object.entries(match.headers ?? {}))
    addHeader(name, value, false, report.at("headers", name));
  for (const [name, value] of Object.entries(match.withoutHeaders ?? {}))
    addHeader(name, value, true, report.at("withoutHeaders", name));
  const queryParameters: NamedMatch[] = [];
  for (const [name, value] of Object.entries(match.queryParams ?? {})) {
    add(queryParameters, name, value, false, report.at("queryParams", name));
  }
  const path = match.uri && readMatch(match.uri, report.at("uri"));
  if (match.uri !== undefined && (path === undefined || path.kind === "present")) {
    if (path !== undefined) report.problem("uri", "names none of exact, prefix, regex");
    return undefined;
  }
  if (!readable) return undefined;
  return {
    name: match.name ?? "",
    path: path && path.kind !== "present" ? { ...path, ignoreCase: match.ignoreUriCase ?? false } : undefined,
    headers,
    queryParameters,
    ...(claims.length > 0 && { claims }),
    port: match.port || undefined,
    callers: translateCallers(match, namespace),
    statPrefix: match.statPrefix || undefined,
  };
}

/**
 * The claim that Istio's `@request.auth.claims.a.b` or `@request.auth.claims[a][b]` names; undefined for a header. Only the
 * first part ignores case.
 */
function claimPath(name: string): readonly string[] | undefined {
  const prefix = "@request.auth.claims";
  if (!name.toLowerCase().startsWith(prefix)) return undefined;
  const rest = name.slice(prefix.length);
  if (rest.length > 1 && rest.startsWith(".")) return rest.slice(1).split(".");
  if (rest.length > 2 && rest.startsWith("[") && rest.endsWith("]")) return rest.slice(1, -1).split("][");
  return undefined;
}

/** An empty match, and the regex `*`, mean: is there. */
export function readMatch(
  match: WrittenMatch,
  report: Report,
): StringMatch | { readonly kind: "present" } | undefined {
  if (match.exact !== undefined) return { kind: "exact", value: match.exact };
  if (match.prefix !== undefined) return { kind: "prefix", value: match.prefix };
  if (match.regex === undefined || match.regex === "*") return { kind: "present" };
  return isRegex(match.regex, report.at("regex")) ? { kind: "regex", value: match.regex } : undefined;
}

/** Whether Envoy takes it: not empty, and in the syntax of its regex engine; a refused one is a problem. */
export function isRegex(pattern: string, report: Report): boolean {
  if (pattern === "") {
    report.problem("", "is empty: Envoy refuses such a pattern; use `.*`, or leave the field out");
    return false;
  }
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    report.problem("", `\`${pattern}\` is not a regular expression in RE2 syntax`);
    return false;
  }
}
