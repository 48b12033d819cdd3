import type { HttpRoute as WrittenRoute } from "../../api/generated/virtualservices.ts";
import type { VirtualService } from "../../api/kinds.ts";
import { type Problem, type ResourceRef, refOf } from "../../api/resource.ts";
import { isVisible } from "../model/caller.ts";
import { qualifiedHost } from "../model/names.ts";
import type { HttpRoute } from "../model/route.ts";
import { mergeMatches } from "./delegate-match.ts";
import { readExportTo } from "./export-to.ts";
import { translateHttpRoute } from "./http-route.ts";
import { type Report, reportOn } from "./problem.ts";
import type { Scope } from "./scope.ts";

/** Finds a VirtualService that delegates or is delegated to. */
export type Delegates = (namespace: string, name: string) => VirtualService | undefined;

/** The route that delegates: where it stands, and where its problems are told. */
export interface DelegatingRoute {
  readonly source: ResourceRef;
  readonly scope: Scope;
  /** At the route. */
  readonly report: Report;
  /** Takes the problems of the delegate's own routes. */
  readonly problems: Problem[];
}

/**
 * The routes of a delegate in place of the route that delegates to it: each with both matches, the names joined by `-`,
 * and what the delegate does not say taken from the route. One level only, as in Istio.
 *
 * @see networking.istio.io Delegate
 */
export function translateDelegation(
  route: WrittenRoute,
  { source, scope, report, problems }: DelegatingRoute,
  delegates: Delegates,
): HttpRoute[] {
  const { name = "", namespace = scope.namespace } = route.delegate ?? {};
  const leftOut = (message: string) => {
    report.problem("delegate", `${message}, so this route is left out`);
    return [];
  };
  if (route.route !== undefined || route.redirect !== undefined || route.directResponse !== undefined)
    return leftOut("stands beside a route, redirect or directResponse");
  const circle = findCircle([`${source.namespace}/${source.name}`], `${namespace}/${name}`, delegates);
  if (circle !== undefined) return leftOut(`goes in a circle, ${circle.join(" → ")}`);
  const delegate = delegates(namespace, name);
  if (delegate === undefined || (delegate.spec.hosts ?? []).length > 0)
    return leftOut(`no VirtualService \`${namespace}/${name}\` without hosts exists`);
  if (!isVisible(readExportTo(delegate.spec.exportTo, namespace), scope.namespace))
    return leftOut(`\`${namespace}/${name}\` is not exported to \`${scope.namespace}\``);
  const ownScope = { namespace, domain: scope.domain };
  const ref = refOf(delegate);
  const ownReport = reportOn(ref, problems);
  return (delegate.spec.http ?? []).flatMap((own, index) => {
    const at = ownReport.at("spec", "http", index);
    if (own.delegate !== undefined) {
      at.problem("delegate", "a delegate delegates no further, so this route is left out");
      return [];
    }
    const match = mergeMatches(route.match, own.match);
    if (match === undefined) {
      at.problem("match", `fits nothing that \`${source.namespace}/${source.name}\` delegates`);
      return [];
    }
    return translateHttpRoute(merge(route, scope, own, match), index, ownScope, at, ref) ?? [];
  });
}

/** The way from a VirtualService back to itself; undefined where there is none. */
function findCircle(
  path: readonly string[],
  next: string,
  delegates: Delegates,
  clear = new Set<string>(),
): string[] | undefined {
  if (path.includes(next)) return [...path, next];
  if (clear.has(next)) return undefined;
  const [namespace = "", name = ""] = next.split("/");
  for (const { delegate } of delegates(namespace, name)?.spec.http ?? []) {
    if (delegate === undefined) continue;
    const target = `${delegate.namespace ?? namespace}/${delegate.name ?? ""}`;
    const circle = findCircle([...path, next], target, delegates, clear);
    if (circle !== undefined) return circle;
  }
  clear.add(next);
  return undefined;
}

const inherited = ["rewrite", "timeout", "retries", "fault", "corsPolicy", "headers"] as const;
const mirrors = ["mirror", "mirrors", "mirrorPercentage", "mirrorPercent", "mirror_percent"] as const;

function merge(
  root: WrittenRoute,
  { namespace, domain }: Scope,
  own: WrittenRoute,
  match: NonNullable<WrittenRoute["match"]>,
): WrittenRoute {
  const pick = (from: WrittenRoute, fields: readonly (keyof WrittenRoute)[]) =>
    Object.fromEntries(fields.flatMap((field) => (from[field] === undefined ? [] : [[field, from[field]]])));
  const complete = <Target extends { readonly host: string }>(target: Target): Target => ({
    ...target,
    host: qualifiedHost(target.host, namespace, domain),
  });
  const mirrorsHere = mirrors.some((field) => own[field] !== undefined);
  return {
    ...pick(root, inherited),
    ...(!mirrorsHere && {
      ...pick(root, mirrors),
      ...(root.mirror && { mirror: complete(root.mirror) }),
      ...(root.mirrors && {
        mirrors: root.mirrors.map((mirror) => ({ ...mirror, destination: complete(mirror.destination) })),
      }),
    }),
    ...own,
    ...(match.length > 0 && { match }),
    name: [root.name, own.name].filter(Boolean).join("-"),
  };
}
