import type { HttpMatch, HttpRoute, RouteTable } from "./route.ts";

/**
 * Routes of the Gateway API in the order in which they are tried: exact before prefix before regular expression, the
 * longer path, one with a method, more headers, more query parameters; then the older object, its namespace and name,
 * then the order of its rules. What names a gRPC service or method comes among the exact ones: the longer service, the
 * longer method, more headers.
 *
 * @see https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule, #grpcrouterule
 */
export function byPrecedence(tables: readonly RouteTable[]): readonly HttpRoute[] {
  const routes = tables
    .toSorted((a, b) => compare(ageOf(a), ageOf(b)))
    // One match a route, so that each finds its own place.
    .flatMap(({ http }) => http.flatMap(single));
  // The sort is stable: what ranks the same keeps the order of age and rules.
  return routes.toSorted((a, b) => compareRanks(rankOf(b.matches[0]), rankOf(a.matches[0])));
}

function single(route: HttpRoute): readonly HttpRoute[] {
  if (route.matches.length < 2) return [route];
  return route.matches.map((match) => ({ ...route, matches: [match] }));
}

function ageOf({ createdAt, source }: RouteTable): string {
  return `${createdAt} ${source.namespace ?? ""} ${source.name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The larger number first. */
function rankOf(match: HttpMatch | undefined): readonly number[] {
  const path = match?.path;
  const headers = match?.headers ?? [];
  if (match?.ofGrpc !== undefined)
    return [3, match.ofGrpc.service, match.ofGrpc.method, headers.length, match.queryParameters.length];
  const isMethod = ({ name }: { readonly name: string }) => name === ":method";
  return [
    path === undefined ? 1 : path.kind === "exact" ? 3 : path.kind === "regex" ? 0 : 2,
    path?.value.length ?? 1,
    headers.some(isMethod) ? 1 : 0,
    headers.filter((header) => !isMethod(header)).length,
    match?.queryParameters.length ?? 0,
  ];
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, number] of a.entries()) {
    const other = b[index] ?? 0;
    if (number !== other) return number - other;
  }
  return 0;
}
