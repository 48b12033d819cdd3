import { type RunMark, runAnnotation, type Shield } from "../../api/annotations.ts";
import type { VirtualService } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { mesh } from "../model/caller.ts";
import { qualifiedHost } from "../model/names.ts";
import type { HttpRoute, LiveCanary, RouteTable } from "../model/route.ts";
import { qualifiedGateway } from "./caller-match.ts";
import { translateTcpRoute, translateTlsRoute } from "./connection-route.ts";
import { type Delegates, translateDelegation } from "./delegate.ts";
import { readExportTo } from "./export-to.ts";
import { translateHttpRoute } from "./http-route.ts";
import { type Report, reportOn } from "./problem.ts";
import type { Scope } from "./scope.ts";

export interface TranslatedRoutes {
  /** undefined for a delegate: it has no hosts of its own. */
  readonly table: RouteTable | undefined;
  readonly problems: readonly Problem[];
  readonly createdAt: string;
  /** What is looked at again with the others in hand: one that delegates, or a delegate. */
  readonly written: VirtualService | undefined;
}

/**
 * A VirtualService by itself: hosts made complete, defaults filled in. Whether its destinations exist is asked later,
 * so that the result depends on this object (and on those to which it delegates) alone.
 *
 * @param delegates finds what it delegates to; without it, routes that delegate are left out
 * @see networking.istio.io VirtualService
 */
export function translateVirtualService(
  object: VirtualService,
  domain: string,
  delegates?: Delegates,
): TranslatedRoutes {
  const problems: Problem[] = [];
  const source = refOf(object);
  const report = reportOn(source, problems);
  const { namespace = "default", creationTimestamp = "", annotations } = object.metadata;
  const { spec } = object;
  const scope: Scope = { namespace, domain };
  const isDelegate = (spec.hosts ?? []).length === 0;
  const delegating = (spec.http ?? []).some(({ delegate }) => delegate !== undefined);
  const mark = annotations?.[runAnnotation];
  const written = isDelegate || delegating ? bare(object, mark) : undefined;
  if (isDelegate) return { table: undefined, problems, createdAt: creationTimestamp, written };
  const http = (spec.http ?? []).flatMap((route, index): readonly HttpRoute[] => {
    const at = report.at("spec", "http", index);
    if (route.delegate !== undefined)
      return delegates === undefined
        ? []
        : translateDelegation(route, { source, scope, report: at, problems }, delegates);
    const translated = translateHttpRoute(route, index, scope, at);
    return translated === undefined ? [] : [translated];
  });
  const live = mark === undefined ? undefined : readRunMark(mark, report.at("metadata", "annotations"));
  const hosts = (spec.hosts ?? []).map((host) => qualifiedHost(host.toLowerCase(), namespace, domain));
  const { gateways = [] } = spec;
  const table: RouteTable = {
    source,
    namespace,
    hosts,
    gateways:
      gateways.length === 0 ? [mesh] : gateways.map((gateway) => qualifiedGateway(gateway, namespace)),
    exportTo: readExportTo(spec.exportTo, namespace),
    http,
    tls: (spec.tls ?? []).flatMap(
      (route, index) =>
        translateTlsRoute(
          route,
          index,
          hosts.concat(spec.hosts ?? []),
          scope,
          report.at("spec", "tls", index),
        ) ?? [],
    ),
    tcp: (spec.tcp ?? []).flatMap(
      (route, index) => translateTcpRoute(route, index, scope, report.at("spec", "tcp", index)) ?? [],
    ),
    live,
    createdAt: creationTimestamp,
  };
  return { table, problems, createdAt: creationTimestamp, written };
}

/** The object without what changes often and says nothing of its routes. */
function bare(
  { apiVersion, kind, metadata, spec }: VirtualService,
  mark: string | undefined,
): VirtualService {
  const { name, namespace = "default", creationTimestamp = "" } = metadata;
  const annotations = mark === undefined ? {} : { annotations: { [runAnnotation]: mark } };
  return { apiVersion, kind, metadata: { name, namespace, creationTimestamp, ...annotations }, spec };
}

/** The run that the controller marked a route with, see `api/annotations.ts`. */
export function readRunMark(json: string, report: Report): LiveCanary | undefined {
  let mark: Partial<RunMark> | undefined;
  try {
    mark = JSON.parse(json);
  } catch {
    mark = undefined;
  }
  const { canary, run, primaryHost, canaryHost, shield } = mark ?? {};
  if (!canary?.namespace || !canary.name || !canary.uid || !run || !primaryHost || !canaryHost) {
    report.problem(runAnnotation, "is not a run mark, so the weights go by the route table");
    return undefined;
  }
  const live = { prefix: `fl.w.${canary.namespace}.${canary.name}`, run, uid: canary.uid };
  if (shield === undefined) return { ...live, primaryHost, canaryHost };
  if (!isShield(shield)) {
    report.problem(
      runAnnotation,
      "names a shield without methods or a time, so the canary's failures reach the users",
    );
    return { ...live, primaryHost, canaryHost };
  }
  const { methods, hangAfter } = shield;
  return { ...live, primaryHost, canaryHost, shield: { methods, hangAfter } };
}

/** What was read may be anything. */
function isShield({ methods, hangAfter }: Partial<Shield>): boolean {
  return (
    Array.isArray(methods) &&
    methods.length > 0 &&
    methods.every((method) => typeof method === "string" && /^[A-Z]+$/.test(method)) &&
    typeof hangAfter === "number" &&
    hangAfter > 0
  );
}
