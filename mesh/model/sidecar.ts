import type { ResourceRef } from "../../api/resource.ts";
import type { ConnectionPool } from "./destination-policy.ts";
import { commonHost, type TerminatingTls } from "./gateway.ts";
import type { MeshSettings, Model } from "./model.ts";
import type { Interception, Proxy } from "./proxy.ts";
import type { RouteTable } from "./route.ts";
import type { Protocol, Service } from "./service.ts";
import { changedKeys, SharedMap } from "./shared-map.ts";

/** A Sidecar: what of the mesh the pods that it is for get to know. The same object while it does not change. */
export interface SidecarRule {
  readonly source: ResourceRef;
  readonly namespace: string;
  /** undefined: all pods of its namespace; of the mesh in the root namespace. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** undefined: everything. */
  readonly egress: readonly EgressListener[] | undefined;
  /** The ports on which its pods are reached, in place of those of Services and containers; undefined: these. */
  readonly ingress: readonly IngressListener[] | undefined;
  /** For connections to the application on all ports that say nothing of their own. */
  readonly inboundPool: ConnectionPool | undefined;
  readonly outboundTrafficPolicy: MeshSettings["outboundTrafficPolicy"] | undefined;
  readonly createdAt: string;
}

/** How connections come to a listener: `iptables` by the pod's redirection, `none` by its own address and port. */
export type Capture = "default" | "iptables" | "none";

export interface EgressListener {
  readonly hosts: readonly EgressHost[];
  /** The hosts' port of this number only; undefined: their ports that no other listener names. */
  readonly port: { readonly number: number; readonly protocol: Protocol } | undefined;
  /** Address that is bound, or that captured connections were for; undefined: any of the hosts. */
  readonly bind: string | undefined;
  readonly capture: Capture;
}

export interface IngressListener {
  readonly port: { readonly number: number; readonly protocol: Protocol };
  readonly bind: string | undefined;
  readonly capture: Capture;
  /** Where the application listens; undefined: on the same port. */
  readonly endpoint: ApplicationEndpoint | undefined;
  readonly pool: ConnectionPool | undefined;
  /** For clients outside of the mesh, where mutual TLS is off. */
  readonly tls: TerminatingTls | undefined;
}

/** Where an application listens: its pod's loopback, the pod's own address, or a Unix socket. */
export type ApplicationEndpoint =
  | { readonly kind: "loopback" | "instance"; readonly port: number }
  | { readonly kind: "socket"; readonly path: string };

/** Whether a listener binds its own port, instead of waiting for connections that the pod's redirection brings. */
export function bindsPort({ capture }: { readonly capture: Capture }, interception: Interception): boolean {
  return capture === "none" || (capture === "default" && interception === "NONE");
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
  readonly egress: readonly EgressListener[] | undefined;
  /** What is let in of Services that are let in by some of their ports. */
  readonly parts: WeakMap<Service, Service>;
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
    const egress =
      before?.egress ??
      rule.egress?.map((listener) => ({
        ...listener,
        hosts: listener.hosts.map((one) => (one.namespace === "." ? { ...one, namespace } : one)),
      }));
    const parts = before?.parts ?? new WeakMap<Service, Service>();
    const routes =
      egress === undefined || (before !== undefined && before.from.routes === model.routes)
        ? (before?.model.routes ?? model.routes)
        : model.routes.filter(({ hosts, namespace: of }) =>
            hosts.some((host) => egress.some((listener) => isLetIn(listener, of, host))),
          );
    const wanted = before?.model.routes === routes ? before.wanted : destinationsOf(routes);
    const partOf = (service: Service) =>
      egress === undefined || wanted.has(service.host) ? service : letIn(egress, service, parts);
    const same = before !== undefined && before.wanted === wanted;
    const hosts = same ? changedKeys(before.from.services, model.services) : model.services.keys();
    const services = (same ? before.services : SharedMap.of<Service>()).with(
      Array.from(hosts, (host) => {
        const service = model.services.get(host);
        return [host, service && partOf(service)] as const;
      }),
    );
    const policy = rule.outboundTrafficPolicy;
    const settings =
      policy === undefined
        ? model.settings
        : before !== undefined && before.from.settings === model.settings
          ? before.model.settings
          : { ...model.settings, outboundTrafficPolicy: policy };
    const scoped = { ...model, services, routes, settings, ...(egress && { egress }) };
    known.set(namespace, { egress, parts, from: model, services, wanted, model: scoped });
    return scoped;
  };
}

/** The ports of a Service that are let in: what names a port says who is behind it, all else is for the other ports. */
function letIn(
  egress: readonly EgressListener[],
  service: Service,
  parts: WeakMap<Service, Service>,
): Service | undefined {
  const isMeant = (listener: EgressListener) => isLetIn(listener, service.namespace, service.host);
  if (!egress.some(({ port }) => port !== undefined)) return egress.some(isMeant) ? service : undefined;
  const ports = service.ports.filter(({ number }) => {
    const named = listenersOn(egress, number);
    return (named.length > 0 ? named : egress.filter(({ port }) => port === undefined)).some(isMeant);
  });
  if (ports.length === 0) return undefined;
  if (ports.length === service.ports.length) return service;
  const known = parts.get(service) ?? { ...service, ports };
  parts.set(service, known);
  return known;
}

/** The listeners of a port. */
export function listenersOn(egress: readonly EgressListener[], number: number): readonly EgressListener[] {
  return egress.filter(({ port }) => port?.number === number);
}

/** Whether a listener's hosts name this one. */
export function isLetIn({ hosts }: Pick<EgressListener, "hosts">, namespace: string, host: string): boolean {
  return hosts.some(
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
