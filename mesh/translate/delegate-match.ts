import type { HttpMatchRequest, StringMatch } from "../../api/generated/virtualservices.ts";

type Matches = readonly HttpMatchRequest[];

/**
 * What fits both a route's matches and those of a route that it delegates to, by Istio's rules: a delegate may only be
 * narrower. Empty: every request; undefined: nothing.
 */
export function mergeMatches(root: Matches = [], own: Matches = []): Matches | undefined {
  if (root.length === 0) return own;
  if (own.length === 0) return root;
  const merged = root.flatMap((wide) =>
    own.filter((narrow) => !conflicts(wide, narrow)).map((narrow) => merge(wide, narrow)),
  );
  return merged.length === 0 ? undefined : merged;
}

function merge(root: HttpMatchRequest, own: HttpMatchRequest): HttpMatchRequest {
  const name = [root.name, own.name].filter(Boolean).join("-");
  const gateways = own.gateways !== undefined && own.gateways.length > 0 ? own.gateways : root.gateways;
  return {
    ...root,
    ...own,
    ...(name !== "" && { name }),
    ...(gateways && { gateways }),
    headers: { ...root.headers, ...own.headers },
    withoutHeaders: { ...root.withoutHeaders, ...own.withoutHeaders },
    queryParams: { ...root.queryParams, ...own.queryParams },
    sourceLabels: { ...root.sourceLabels, ...own.sourceLabels },
  };
}

function conflicts(root: HttpMatchRequest, own: HttpMatchRequest): boolean {
  const texts = (["uri", "scheme", "method", "authority"] as const).some((field) =>
    textConflicts(root[field], own[field]),
  );
  const maps = (["headers", "queryParams"] as const).some((field) =>
    Object.entries(own[field] ?? {}).some(([name, match]) => textConflicts(root[field]?.[name], match)),
  );
  const without = Object.entries(own.withoutHeaders ?? {}).some(([name, match]) => {
    const wide = root.withoutHeaders?.[name];
    return wide !== undefined && JSON.stringify(wide) !== JSON.stringify(match);
  });
  const labels = Object.entries(own.sourceLabels ?? {}).some(
    ([name, value]) => (root.sourceLabels?.[name] ?? value) !== value,
  );
  const gateways =
    root.gateways !== undefined &&
    root.gateways.length > 0 &&
    (own.gateways ?? []).some((gateway) => !root.gateways?.includes(gateway));
  const ports = Boolean(root.port && own.port && root.port !== own.port);
  const namespaces = Boolean(
    root.sourceNamespace && own.sourceNamespace && root.sourceNamespace !== own.sourceNamespace,
  );
  const cases = (root.ignoreUriCase ?? false) !== (own.ignoreUriCase ?? false) && own.uri !== undefined;
  return texts || maps || without || labels || gateways || ports || namespaces || cases;
}

/** Whether the narrow match may fit what the wide one does not; of a regex nobody knows. */
function textConflicts(root: StringMatch | undefined, own: StringMatch | undefined): boolean {
  if (root === undefined || own === undefined) return false;
  if (root.regex !== undefined || own.regex !== undefined) return true;
  if (root.exact !== undefined) return own.exact !== root.exact;
  if (root.prefix === undefined) return false;
  return !(own.exact ?? own.prefix ?? "").startsWith(root.prefix);
}
