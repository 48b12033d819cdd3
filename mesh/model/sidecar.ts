import type { ResourceRef } from "../../api/resource.ts";
import { commonHost } from "./gateway.ts";
import type { MeshSettings, Model } from "./model.ts";
import type { Proxy } from "./proxy.ts";
import type { RouteTable } from "./route.ts";
import type { Service } from "./service.ts";
import { changedKeys, SharedMap } from "./shared-map.ts";

/** A Sidecar: what of the mesh the pods that it is for get to know. The same object while it does not change. */
export interface SidecarRule {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** undefined: all pods of its namespace; of the mesh in the root namespace. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** undefined: everything. */
  readonly egress: readonly EgressHost[] | undefined;
  readonly outboundTrafficPolicy: MeshSettings["outboundTrafficPolicy"] | undefined;
  readonly createdAt: string;
}

/** Services and routes that are let in. */
export interface EgressHost {
  /** undefined: of any namespace; `.`: of the pod's own. */
  readonly namespace: string | undefined;
  /** A leading `*` stands for any first part; `*` alone for every host. */
  readonly host: string;
}

/** The Sidecar for a pod: one that selects it, else its namespace's, else the root namespace's. Of several the oldest. */
export function sidecarFor(
  { sidecars = [], settings }: Pick<Model, "sidecars" | "settings">,
  { namespace, labels }: Pick<Proxy, "namespace" | "labels">,
): SidecarRule | undefined {
  const selecting = sidecars.find(
    (rule) =>
      rule.namespace === namespace &&
      rule.selector !== undefined &&
      Object.entries(rule.selector).every(([name, value]) => labels[name] === value),
  );
  const whole = (from: string) =>
    sidecars.find((rule) => rule.namespace === from && rule.selector === undefined);
  return selecting ?? whole(namespace) ?? whole(settings.rootNamespace);
}

/** What was made of a model for one Sidecar, and from what. */
interface Scoped {
  readonly from: Model;
  readonly services: SharedMap<Service>;
  readonly wanted: ReadonlySet<string>;
  readonly model: Model;
}

/**
 * Makes the function that cuts a model down to what a Sidecar lets in: Services and routes that its hosts name, and the
 * Services that these routes lead to. The same model while nothing of it changes; a change costs what changed.
 */
export function createSidecarScopes() {
  const byRule = new WeakMap<SidecarRule, Map<string, Scoped>>();
  return (model: Model, rule: SidecarRule | undefined, namespace: string): Model => {
    if (rule === undefined || (rule.egress === undefined && rule.outboundTrafficPolicy === undefined))
      return model;
    const known = byRule.get(rule) ?? new Map<string, Scoped>();
    byRule.set(rule, known);
    const before = known.get(namespace);
    if (before?.from === model) return before.model;
    const egress = rule.egress?.map((one) => (one.namespace === "." ? { ...one, namespace } : one));
    const routes =
      egress === undefined || (before !== undefined && before.from.routes === model.routes)
        ? (before?.model.routes ?? model.routes)
        : model.routes.filter((table) => table.hosts.some((host) => isLetIn(egress, table.namespace, host)));
    const wanted = before?.model.routes === routes ? before.wanted : destinationsOf(routes);
    const isVisible = (service: Service) =>
      egress === undefined || wanted.has(service.host) || isLetIn(egress, service.namespace, service.host);
    const same = before !== undefined && before.wanted === wanted;
    const hosts = same ? changedKeys(before.from.services, model.services) : model.services.keys();
    const services = (same ? before.services : SharedMap.of<Service>()).with(
      Array.from(hosts, (host) => {
        const service = model.services.get(host);
        return [host, service !== undefined && isVisible(service) ? service : undefined] as const;
      }),
    );
    const policy = rule.outboundTrafficPolicy;
    const settings =
      policy === undefined
        ? model.settings
        : before !== undefined && before.from.settings === model.settings
          ? before.model.settings
          : { ...model.settings, outboundTrafficPolicy: policy };
    const scoped = { ...model, services, routes, settings };
    known.set(namespace, { from: model, services, wanted, model: scoped });
    return scoped;
  };
}

function isLetIn(egress: readonly EgressHost[], namespace: string, host: string): boolean {
  return egress.some(
    (one) =>
      (one.namespace === undefined || one.namespace === namespace) && commonHost(one.host, host) === host,
  );
}

function destinationsOf(routes: readonly RouteTable[]): ReadonlySet<string> {
  const hosts = new Set<string>();
  for (const { http, tls, tcp } of routes) {
    for (const { action } of http) {
      if (action.kind !== "forward") continue;
      for (const { host } of action.destinations) hosts.add(host);
      for (const { destination } of action.mirrors) hosts.add(destination.host);
    }
    for (const { destinations } of [...tls, ...tcp]) for (const { host } of destinations) hosts.add(host);
  }
  return hosts;
}
