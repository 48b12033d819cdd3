import type { HttpMatch, StringMatch } from "../../api/generated/canaries.ts";
import type { HTTPRouteMatch } from "../../api/generated/httproutes.ts";
import type { HttpMatchRequest } from "../../api/generated/virtualservices.ts";

type Named = NonNullable<HTTPRouteMatch["headers"]>[number];

const everything: HTTPRouteMatch = { path: { type: "PathPrefix", value: "/" } };

/**
 * A Canary's matches, which are Istio's, as the Gateway API has them; all requests where there are none.
 *
 * Prefixes of headers become regular expressions; what it knows nothing of (ports, source labels, schemes) is in
 * {@link unknownToGateways}.
 */
export function gatewayMatches(
  match: readonly (HttpMatch | HttpMatchRequest)[] | undefined,
): HTTPRouteMatch[] {
  if (match === undefined || match.length === 0) return [everything];
  return match.map(({ uri, method, headers, queryParams }) => ({
    path: uri ? pathOf(uri) : { type: "PathPrefix", value: "/" },
    ...(headers && { headers: namedMatches(headers) }),
    ...(method?.exact !== undefined && { method: method.exact as NonNullable<HTTPRouteMatch["method"]> }),
    ...(queryParams && { queryParams: namedMatches(queryParams) }),
  }));
}

/** The fields of a Canary's matches that no HTTPRoute can say, by name. */
export function unknownToGateways(match: readonly HttpMatch[] = []): readonly string[] {
  const unknown = [
    "scheme",
    "authority",
    "withoutHeaders",
    "port",
    "sourceLabels",
    "sourceNamespace",
  ] as const;
  return unknown.filter((field) => match.some((one) => one[field] !== undefined));
}

function pathOf({ exact, prefix, regex }: StringMatch): NonNullable<HTTPRouteMatch["path"]> {
  if (exact !== undefined) return { type: "Exact", value: exact };
  if (regex !== undefined) return { type: "RegularExpression", value: regex };
  return { type: "PathPrefix", value: prefix ?? "/" };
}

function namedMatches(matches: Readonly<Record<string, StringMatch>>): Named[] {
  return Object.entries(matches).map(([name, { exact, prefix, regex }]): Named => {
    if (exact !== undefined) return { name, type: "Exact", value: exact };
    const value = prefix === undefined ? (regex ?? ".*") : `${escape(prefix)}.*`;
    return { name, type: "RegularExpression", value };
  });
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
