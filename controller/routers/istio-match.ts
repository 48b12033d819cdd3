import type { AnalysisMatch, HttpMatch, StringMatch } from "../../api/generated/canaries.ts";
import type { HttpMatchRequest } from "../../api/generated/virtualservices.ts";

/**
 * Requests that fit both an analysis' match and a service's: every pair of the two lists, as one conjunction.
 *
 * A pair that no request can fit is left out. Two patterns for one header that have no common form stay both, the
 * service's in the rules below: see {@link bothOf}.
 */
export function conjunction(
  ours: readonly AnalysisMatch[],
  services: readonly HttpMatch[] | undefined,
): readonly HttpMatchRequest[] {
  return ours.flatMap((match) => (services ?? [{}]).flatMap((service) => bothOf(match, service) ?? []));
}

function bothOf(match: AnalysisMatch, service: HttpMatch): HttpMatchRequest | undefined {
  const headers = bothMaps(match.headers, service.headers);
  const queryParams = bothMaps(match.queryParams, service.queryParams);
  const sourceLabels = bothLabels(match.sourceLabels, service.sourceLabels);
  if (headers === undefined || queryParams === undefined || sourceLabels === undefined) return undefined;
  const { headers: _headers, queryParams: _query, sourceLabels: _labels, ...rest } = service;
  return {
    ...rest,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(Object.keys(queryParams).length > 0 && { queryParams }),
    ...(Object.keys(sourceLabels).length > 0 && { sourceLabels }),
  };
}

type Matches = Readonly<Record<string, StringMatch & { readonly suffix?: string }>>;

/** undefined where one name would have to fit two matches that exclude each other. */
function bothMaps(ours: Matches = {}, services: Matches = {}): Record<string, StringMatch> | undefined {
  const names = new Map(Object.keys(services).map((name) => [name.toLowerCase(), name]));
  const both: [string, StringMatch][] = Object.entries(services);
  for (const [name, match] of Object.entries(ours)) {
    const known = names.get(name.toLowerCase());
    const other = known === undefined ? undefined : services[known];
    const found = other === undefined ? plain(match) : narrower(plain(match), plain(other));
    if (found === undefined) return undefined;
    both.push([known ?? name, found]);
  }
  return Object.fromEntries(both);
}

/** Istio knows no suffix: it is a regular expression of the whole value. */
function plain({ exact, prefix, suffix, regex }: Matches[string]): StringMatch {
  if (exact !== undefined) return { exact };
  if (prefix !== undefined) return { prefix };
  if (suffix !== undefined) return { regex: `.*${escape(suffix)}` };
  return regex === undefined ? {} : { regex };
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** One match that fits what both fit. Two expressions that cannot be joined: the analysis' own, which is the narrower as a rule. */
function narrower(a: StringMatch, b: StringMatch): StringMatch | undefined {
  if (a.exact !== undefined) return fits(b, a.exact) ? a : undefined;
  if (b.exact !== undefined) return fits(a, b.exact) ? b : undefined;
  if (a.prefix !== undefined && b.prefix !== undefined) {
    if (a.prefix.startsWith(b.prefix)) return a;
    return b.prefix.startsWith(a.prefix) ? b : undefined;
  }
  return a;
}

function fits({ exact, prefix, regex }: StringMatch, value: string): boolean {
  if (exact !== undefined) return exact === value;
  if (prefix !== undefined) return value.startsWith(prefix);
  // What only Envoy's engine can tell is left to it.
  return regex === undefined || regex !== "";
}

function bothLabels(
  ours: Readonly<Record<string, string>> = {},
  services: Readonly<Record<string, string>> = {},
): Record<string, string> | undefined {
  const excluded = Object.entries(ours).some(([name, value]) => (services[name] ?? value) !== value);
  return excluded ? undefined : { ...services, ...ours };
}
