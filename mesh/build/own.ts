import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { type InboundPort, inboundPorts, workloadOf } from "../model/inbound.ts";
import type { Model } from "../model/model.ts";
import { mutualTlsMode } from "../model/mutual-tls.ts";
import type { Proxy } from "../model/proxy.ts";
import { buildInboundListener, buildVirtualInbound } from "./inbound-listener.ts";
import { createMemo, type Memo } from "./memo.ts";
import { buildHttpProxyListener, buildRedirectListeners } from "./outbound-listener.ts";
import { blackHole, inbound, inboundPassthrough, ownHttpProxy, passthrough } from "./plain-clusters.ts";
import { encodeResource, type Resource } from "./resource.ts";
import type { PolicyFilters, PolicyFiltersOf, Telemetry } from "./workload-filters.ts";

/** What belongs to one proxy alone. */
export interface Own {
  readonly clusters: readonly Resource[];
  readonly listeners: readonly Resource[];
}

/** Makes the function that builds a proxy's own listeners and the clusters behind them. */
export function createOwnBuilder(policyFilters: PolicyFiltersOf, telemetry: Telemetry) {
  const memos = new Map<string, { readonly whole: Memo<Own>; readonly parts: Memo<readonly Resource[]> }>();

  function fixedClusters(proxy: Proxy): readonly Resource[] {
    const clusters = [
      blackHole(),
      passthrough(proxy),
      proxy.interception === "NONE" ? ownHttpProxy(proxy) : inboundPassthrough(),
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
    policies: PolicyFilters,
  ): readonly Resource[] {
    const { trustDomain, rootNamespace } = model.settings;
    const context = { proxy, trustDomain, policies, telemetry };
    const listeners =
      proxy.interception === "NONE"
        ? ports.map((port) => buildInboundListener(port, context))
        : [buildVirtualInbound(ports, mutualTlsMode(model.mutualTls, rootNamespace, proxy, 0), context)];
    return listeners.map((listener) => encodeResource("listener", listener.name, ListenerSchema, listener));
  }

  function outboundListeners(model: Model, proxy: Proxy): readonly Resource[] {
    const listeners =
      proxy.interception === "NONE"
        ? [buildHttpProxyListener(proxy, telemetry)]
        : buildRedirectListeners(proxy, model.services.values(), model.settings, telemetry);
    return listeners.map((listener) => encodeResource("listener", listener.name, ListenerSchema, listener));
  }

  function assemble(
    model: Model,
    proxy: Proxy,
    connected: Proxy,
    policies: PolicyFilters,
    parts: Memo<readonly Resource[]>,
  ): Own {
    const ports = inboundPorts(model, proxy);
    const fingerprint = JSON.stringify(
      ports.map(({ number, protocol, mode, servicePort, service }) => [
        number,
        protocol,
        mode,
        servicePort,
        service?.host,
      ]),
    );
    const known = workloadOf(model, connected);
    const of = [connected, known, fingerprint];
    const services = proxy.interception === "REDIRECT" && model.services;
    return {
      clusters: [
        ...parts.get("fixed", [connected], () => fixedClusters(proxy)),
        ...parts.get("clusters", of, () => inboundClusters(proxy, ports)),
      ],
      listeners: [
        ...parts.get("inbound", [...of, model.mutualTls, policies.http, policies.network], () =>
          inboundListeners(model, proxy, ports, policies),
        ),
        ...parts.get("outbound", [connected, known, services], () => outboundListeners(model, proxy)),
      ],
    };
  }

  return {
    /** The same object while nothing that matters to this proxy changes. */
    build(model: Model, connected: Proxy): Own {
      const known = workloadOf(model, connected);
      // What the API server says of a pod counts more than what its proxy says of itself.
      const proxy =
        known === undefined
          ? connected
          : { ...connected, labels: known.labels, facts: known.facts, serviceAccount: known.serviceAccount };
      const policies = policyFilters(proxy);
      const memo = memos.get(connected.id) ?? {
        whole: createMemo<Own>(),
        parts: createMemo<readonly Resource[]>(),
      };
      memos.set(connected.id, memo);
      const inputs = [connected, known, model.services, model.mutualTls, policies.http, policies.network];
      return memo.whole.get("own", inputs, () => assemble(model, proxy, connected, policies, memo.parts));
    },
    /** A proxy has gone. */
    forget: ({ id }: Proxy): boolean => memos.delete(id),
  };
}
