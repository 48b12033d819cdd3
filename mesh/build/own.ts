import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { type Listener, ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { callerOf } from "../model/caller.ts";
import { type InboundPort, inboundPorts, workloadOf } from "../model/inbound.ts";
import { type Model, servicesOver } from "../model/model.ts";
import { mutualTlsMode } from "../model/mutual-tls.ts";
import { type Proxy, sharesLoopback } from "../model/proxy.ts";
import type { Service } from "../model/service.ts";
import { sidecarFor } from "../model/sidecar.ts";
import type { Workload } from "../model/workload.ts";
import { egressPorts } from "./egress-ports.ts";
import { buildInboundListener, buildVirtualInbound } from "./inbound-listener.ts";
import { createMemo, type Memo } from "./memo.ts";
import { buildHttpProxyListener, buildPortListeners, buildRedirectListeners } from "./outbound-listener.ts";
import { blackHole, inbound, inboundPassthrough, ownHttpProxy, passthrough } from "./plain-clusters.ts";
import { createRedirectPorts, type RedirectPort, reservedPorts } from "./redirect-ports.ts";
import { encodeOwn, encodeResource, type Resource } from "./resource.ts";
import { type ResourceSet, resourceSet } from "./resource-set.ts";
import { createTelemetryRules } from "./telemetry-rules.ts";
import type { PolicyFilters, PolicyFiltersOf, Telemetry } from "./workload-filters.ts";

/** What belongs to one proxy alone. */
export interface Own {
  readonly clusters: ResourceSet;
  readonly listeners: ResourceSet;
}

type Parts = Memo<readonly Resource[]>;

/** What a proxy's own part was built from. */
interface Built {
  readonly inputs: readonly unknown[];
  readonly services: readonly Service[];
  readonly own: Own;
  readonly resources: readonly [readonly Resource[], readonly Resource[]];
  readonly parts: Parts;
}

/** Makes the function that builds a proxy's own listeners and the clusters behind them. */
export function createOwnBuilder(policyFilters: PolicyFiltersOf, telemetry: Telemetry) {
  const built = new Map<string, Built>();
  /** Outbound listeners of interception mode REDIRECT: the same for all pods of a workload. */
  const redirect = createMemo<readonly Resource[]>();
  const redirectPorts = createRedirectPorts();
  const telemetryAt = createTelemetryRules(telemetry);
  let policies = 0;

  function fixedClusters(proxy: Proxy): readonly Resource[] {
    const clusters = [
      blackHole(),
      passthrough(proxy),
      proxy.interception === "NONE" ? ownHttpProxy(proxy) : inboundPassthrough(proxy),
    ];
    return clusters.map((cluster) => encodeResource("cluster", cluster.name, ClusterSchema, cluster));
  }

  function inboundClusters(proxy: Proxy, ports: readonly InboundPort[]): readonly Resource[] {
    return ports.map((port) => {
      const cluster = inbound(proxy, port);
      return encodeResource("cluster", cluster.name, ClusterSchema, cluster);
    });
  }

  function inboundListeners(
    model: Model,
    proxy: Proxy,
    ports: readonly InboundPort[],
    filters: PolicyFilters,
    recorded: Telemetry,
  ): readonly Resource[] {
    const { trustDomain, rootNamespace } = model.settings;
    const context = { proxy, trustDomain, policies: filters, telemetry: recorded };
    const bound = (port: InboundPort) => encodeListener(() => buildInboundListener(port, context));
    if (proxy.interception === "NONE") return ports.map(bound);
    const mode = mutualTlsMode(model.mutualTls, rootNamespace, proxy, 0);
    const captured = ports.filter(({ ownListener }) => ownListener !== true);
    return [
      encodeListener(() => buildVirtualInbound(captured, mode, context)),
      ...ports.filter(({ ownListener }) => ownListener === true).map(bound),
    ];
  }

  function outboundListeners(
    seen: Model,
    proxy: Proxy,
    inbound: readonly InboundPort[],
    parts: Parts,
    recorded: Telemetry,
  ): readonly Resource[] {
    const { settings } = seen;
    if (proxy.interception === "NONE") {
      const listeners = boundByEgress(seen, proxy, inbound);
      const inputs = [JSON.stringify(proxy.facts), JSON.stringify(listeners), proxy.knowsShields, recorded];
      return parts.get("outbound", inputs, () => [
        encodeListener(() => buildHttpProxyListener(proxy, recorded)),
        ...buildPortListeners(proxy, listeners, recorded).map((listener) =>
          encodeResource("listener", listener.name, ListenerSchema, listener),
        ),
      ]);
    }
    const ports = redirectPorts(seen, callerOf(seen, proxy));
    return redirect.get(
      JSON.stringify([proxy.facts, proxy.scope, proxy.knowsShields]),
      [ports, settings, recorded],
      () =>
        buildRedirectListeners(proxy, ports, settings, recorded).map((listener) =>
          encodeResource("listener", listener.name, ListenerSchema, listener),
        ),
    );
  }

  /** The clusters and the listeners; the very arrays of the parts where these are the same. */
  function assemble(
    model: Model,
    seen: Model,
    proxy: Proxy,
    connected: Proxy,
    known: Workload | undefined,
    parts: Parts,
    recorded: Telemetry,
  ): readonly [readonly Resource[], readonly Resource[]] {
    const filters = policyFilters(proxy);
    const ports = inboundPorts(model, proxy);
    const fingerprint = JSON.stringify(ports.map(({ service, ...port }) => [port, service?.host]));
    const of = [connected, known, fingerprint];
    return [
      [
        ...parts.get("fixed", [connected], () => fixedClusters(proxy)),
        ...parts.get("clusters", of, () => inboundClusters(proxy, ports)),
      ],
      [
        ...parts.get(
          "inbound",
          [...of, model.mutualTls, filters.http, filters.network, filters.paths, recorded],
          () => inboundListeners(model, proxy, ports, filters, recorded),
        ),
        ...outboundListeners(seen, proxy, ports, parts, recorded),
      ],
    ];
  }

  return {
    /** The same object while nothing that matters to this proxy changes. @param seen what its Sidecar lets it know */
    build(model: Model, connected: Proxy, seen: Model): Own {
      const before = built.get(connected.id);
      const known = workloadOf(model, connected);
      const labels = known?.labels ?? connected.labels;
      const selecting = servicesOver(model.services, connected.namespace, labels);
      const services = isSameList(before?.services, selecting) ? before.services : selecting;
      const caller = callerOf(seen, { namespace: connected.namespace, labels });
      const ports =
        connected.interception === "REDIRECT" ? redirectPorts(seen, caller) : seen.egress && seen.services;
      const sidecar = sidecarFor(model, { namespace: connected.namespace, labels });
      const recorded = telemetryAt(
        model,
        known === undefined ? connected : { ...connected, labels, facts: known.facts },
      );
      const { mutualTls } = model;
      const { settings } = seen;
      const inputs = [
        connected,
        known,
        services,
        ports,
        mutualTls,
        settings,
        policies,
        recorded,
        sidecar,
        seen.egress,
      ];
      if (before !== undefined && isSameList(before.inputs, inputs)) return before.own;
      // What the API server says of a pod counts more than what its proxy says of itself.
      const proxy =
        known === undefined
          ? connected
          : { ...connected, labels, facts: known.facts, serviceAccount: known.serviceAccount };
      const parts = before?.parts ?? createMemo<readonly Resource[]>();
      const resources = assemble(model, seen, proxy, connected, known, parts, recorded);
      const [clusters, listeners] = resources;
      const own = {
        clusters: isSameList(before?.resources[0], clusters) ? before.own.clusters : resourceSet(clusters),
        listeners: isSameList(before?.resources[1], listeners)
          ? before.own.listeners
          : resourceSet(listeners),
      };
      built.set(connected.id, { inputs, services, own, resources, parts });
      return own;
    },
    /** Policies may have changed, which no model shows. */
    invalidate(): void {
      policies += 1;
      redirect.sweep();
    },
    /** A proxy has gone. */
    forget: ({ id }: Proxy): boolean => built.delete(id),
  };
}

/** Listeners that a Sidecar binds in interception mode NONE, but for ports that this address has already. */
function boundByEgress(seen: Model, proxy: Proxy, inbound: readonly InboundPort[]): readonly RedirectPort[] {
  if (seen.egress === undefined) return [];
  const listeners = egressPorts(seen, callerOf(seen, proxy), proxy.interception);
  const shared = sharesLoopback(proxy);
  const taken = new Set(reservedPorts);
  if (shared)
    for (const number of [proxy.httpProxyPort, ...inbound.map((port) => port.number)]) taken.add(number);
  return listeners.flatMap((port) => {
    if (taken.has(port.number)) return [];
    if (shared) taken.add(port.number);
    return shared ? { ...port, address: proxy.ip } : port;
  });
}

function encodeListener(build: () => Listener): Resource {
  return encodeOwn("listener", ListenerSchema, build);
}

function isSameList<T>(before: readonly T[] | undefined, after: readonly T[]): before is readonly T[] {
  return before?.length === after.length && before.every((item, index) => item === after[index]);
}
