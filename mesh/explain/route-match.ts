import type {
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { FractionalPercent_DenominatorType as Denominator } from "../../envoy/generated/envoy/type/v3/percent_pb.js";
import { joinedHeaders } from "../../policy/edge/headers.ts";
import { matchesString, regex } from "./string-match.ts";

/** A request as the router sees it: after the connection manager's normalisation. */
export interface RoutedRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Lower-case names. */
  readonly headers: readonly (readonly [string, string])[];
}

/**
 * Why `match` does not fit the request, in a few words; undefined where it fits.
 *
 * @see envoy.config.route.v3.RouteMatch: all parts must fit, the path is compared without its query; which share of the
 * requests it takes is not looked at
 */
export function mismatch(match: RouteMatch, request: RoutedRequest): string | undefined {
  const path = pathMismatch(match, request);
  if (path !== undefined) return path;
  if (match.grpc !== undefined && !isGrpc(request)) return "is for gRPC";
  for (const header of match.headers)
    if (!matchesHeader(header, request)) return `header \`${header.name}\` does not fit`;
  for (const parameter of match.queryParameters)
    if (!matchesQuery(parameter, request.path)) return `query parameter \`${parameter.name}\` does not fit`;
  // The requests that are explained carry no verified token.
  if (match.dynamicMetadata.some(({ invert }) => !invert)) return "asks for a claim of a token";
  return undefined;
}

function pathMismatch(
  { pathSpecifier, caseSensitive = true }: RouteMatch,
  request: RoutedRequest,
): string | undefined {
  const isConnect = request.method === "CONNECT";
  if (pathSpecifier.case === "connectMatcher") return isConnect ? undefined : "is for CONNECT";
  if (isConnect) return "is not for CONNECT";
  const folded = (text: string) => (caseSensitive ? text : text.toLowerCase());
  const path = folded(withoutQuery(request.path));
  switch (pathSpecifier.case) {
    case "prefix":
      return path.startsWith(folded(pathSpecifier.value))
        ? undefined
        : `path does not begin with ${pathSpecifier.value}`;
    case "path":
      return path === folded(pathSpecifier.value) ? undefined : `path is not ${pathSpecifier.value}`;
    case "pathSeparatedPrefix": {
      const prefix = folded(pathSpecifier.value);
      return path === prefix || path.startsWith(`${prefix}/`)
        ? undefined
        : `path is not under ${pathSpecifier.value}`;
    }
    case "safeRegex":
      return regex(pathSpecifier.value.regex).matches(withoutQuery(request.path))
        ? undefined
        : `path does not fit ${pathSpecifier.value.regex}`;
    default:
      return `path is matched by \`${pathSpecifier.case ?? "nothing"}\`, which is not explained`;
  }
}

/** A path without its query and fragment. */
export function withoutQuery(path: string): string {
  return path.replace(/[?#].*$/s, "");
}

/** The lines of a header as Envoy keeps them, pseudo headers among them; none where it is absent. */
function headerLines(name: string, request: RoutedRequest): readonly string[] {
  const key = name.toLowerCase();
  switch (key) {
    case ":method":
      return [request.method];
    case ":path":
      return [request.path];
    case ":scheme":
      return [request.scheme];
    case ":authority":
    case "host":
      return [request.authority];
    default: {
      const lines = request.headers.filter(([other]) => other === key).map(([, value]) => value);
      return lines.length > 1 && joinedHeaders.has(key)
        ? [lines.filter((line) => line !== "").join(",")]
        : lines;
    }
  }
}

/**
 * Each line is compared alone, and one that fits is enough. An absent header fits nothing but "absent", negated or not,
 * unless it counts as empty.
 */
function matchesHeader(matcher: HeaderMatcher, request: RoutedRequest): boolean {
  const { headerMatchSpecifier: by, invertMatch, treatMissingHeaderAsEmpty } = matcher;
  const found = headerLines(matcher.name, request);
  const lines = found.length === 0 && treatMissingHeaderAsEmpty ? [""] : found;
  if (by.case === undefined) return lines.length > 0 !== invertMatch;
  if (by.case === "presentMatch") return (lines.length > 0 === by.value) !== invertMatch;
  if (lines.length === 0) return false;
  return lines.some((line) => matchesValue(by, line)) !== invertMatch;
}

function matchesValue(by: HeaderMatcher["headerMatchSpecifier"], value: string): boolean {
  switch (by.case) {
    case "stringMatch":
      return matchesString(by.value, value);
    case "exactMatch":
      return value === by.value;
    case "prefixMatch":
      return value.startsWith(by.value);
    case "suffixMatch":
      return value.endsWith(by.value);
    case "containsMatch":
      return value.includes(by.value);
    case "safeRegexMatch":
      return regex(by.value.regex).matches(value);
    case "rangeMatch":
      return /^-?\d+$/.test(value) && BigInt(value) >= by.value.start && BigInt(value) < by.value.end;
    default:
      return false;
  }
}

/** The first value of that name counts, as it was written. */
function matchesQuery(
  { name, queryParameterMatchSpecifier: by }: QueryParameterMatcher,
  path: string,
): boolean {
  const query = /\?([^#]*)/.exec(path)?.[1] ?? "";
  const pairs = query.split("&").map((pair) => pair.split(/=(.*)/s));
  const found = pairs.find(([key]) => key === name && key !== "");
  const value = found?.[1] ?? "";
  if (by.case === "stringMatch") return found !== undefined && matchesString(by.value, value);
  if (by.case === "presentMatch") return (found !== undefined) === by.value;
  return found !== undefined;
}

function isGrpc({ headers }: RoutedRequest): boolean {
  return headers.some(([name, value]) => name === "content-type" && /^application\/grpc($|\+)/.test(value));
}

/** A fraction from 0 to 1; a missing one is all. */
export function fractionOf(
  percent: { readonly numerator: number; readonly denominator: Denominator } | undefined,
): number {
  if (percent === undefined) return 1;
  const of = {
    [Denominator.HUNDRED]: 100,
    [Denominator.TEN_THOUSAND]: 10_000,
    [Denominator.MILLION]: 1_000_000,
  };
  return Math.min(1, percent.numerator / of[percent.denominator]);
}
