import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { callerOf } from "../model/caller.ts";
import type { GatewayServer } from "../model/gateway.ts";
import { type GatewayPlan, gatewaysOver, planGateway } from "../model/gateway-plan.ts";
import { workloadOf } from "../model/inbound.ts";
import { type Model, servicesOver } from "../model/model.ts";
import type { Proxy } from "../model/proxy.ts";
import { type Passage, passagesOf } from "./auto-passthrough.ts";
import { buildGatewayListeners, resolvesHosts } from "./gateway-listener.ts";
import { secretResource } from "./gateway-tls.ts";
import { blackHole } from "./plain-clusters.ts";
import { encodeResource, type Resource } from "./resource.ts";
import { type ResourceSet, resourceSet } from "./resource-set.ts";
import { createTelemetryRules } from "./telemetry-rules.ts";
import type { PolicyFiltersOf, Telemetry } from "./workload-filters.ts";

/** What belongs to one gateway's proxy alone. The same sets while nothing of them changes. */
export interface OwnGateway {
  readonly plan: GatewayPlan;
  readonly clusters: ResourceSet;
  /** Of the clusters that are its own. */
  readonly endpoints: ResourceSet;
  readonly listeners: ResourceSet;
  readonly secrets: ResourceSet;
}

interface Built {
  readonly inputs: readonly unknown[];
  readonly planned: readonly unknown[];
  readonly own: OwnGateway;
}

/** Makes the function that builds a gateway proxy's listeners and the secrets that they name. */
export function createGatewayBuilder(policyFilters: PolicyFiltersOf, telemetry: Telemetry) {
  const built = new Map<string, Built>();
  const telemetryAt = createTelemetryRules(telemetry);
  const closed = encodeResource("cluster", blackHole().name, ClusterSchema, blackHole());

  return {
    build(model: Model, connected: Proxy): OwnGateway {
      const before = built.get(connected.id);
      const known = workloadOf(model, connected);
      const proxy =
        known === undefined ? connected : { ...connected, labels: known.labels, facts: known.facts };
      const services = servicesOver(model.services, proxy.namespace, proxy.labels);
      const planned = [connected, known, model.gateways, model.credentials, ...services];
      const { routes, settings } = model;
      const policies = policyFilters(proxy);
      const recorded = telemetryAt(model, proxy);
      const inputs = [
        ...planned,
        recorded,
        routes,
        settings,
        policies.http,
        policies.network,
        policies.paths,
        resolvesHosts(model.services),
        ...(passesByName(model, proxy) ? [model.services, model.endpoints, model.policies] : []),
      ];
      if (before !== undefined && isSameList(before.inputs, inputs)) return before.own;
      const plan =
        isSameList(before?.planned, planned) && before
          ? before.own.plan
          : planFor(model, proxy, known?.ports);
      const passages = passagesBy(plan, model, proxy);
      const context = { model, proxy, policies, telemetry: recorded, passages };
      const listeners = buildGatewayListeners(plan, context).map((listener) =>
        encodeResource("listener", listener.name, ListenerSchema, listener),
      );
      const passed = new Map(
        [...passages.values()].flat().map((passage) => [passage.serverName, passage] as const),
      );
      const clusters = [...passed.values()].map(({ cluster }) =>
        encodeResource("cluster", cluster.name, ClusterSchema, cluster),
      );
      const endpoints = [...passed.values()].map((passage) =>
        encodeResource("endpoint", passage.serverName, ClusterLoadAssignmentSchema, passage.endpoints),
      );
      const secrets = [...plan.credentials].map(([name, credential]) => secretResource(name, credential));
      const own = {
        plan,
        clusters: keepEqual(before?.own.clusters, [closed, ...clusters]),
        endpoints: keepEqual(before?.own.endpoints, endpoints),
        listeners: keepEqual(before?.own.listeners, listeners),
        secrets: keepEqual(before?.own.secrets, secrets),
      };
      built.set(connected.id, { inputs, planned, own });
      return own;
    },
    /** A proxy has gone. */
    forget: ({ id }: Proxy): boolean => built.delete(id),
  };
}

/** Whether a gateway over this proxy has a server in mode AUTO_PASSTHROUGH. */
function passesByName(model: Model, proxy: Proxy): boolean {
  return gatewaysOver(model, proxy).some(({ servers }) =>
    servers.some(({ tls }) => tls?.mode === "auto-passthrough"),
  );
}

function passagesBy(
  plan: GatewayPlan,
  model: Model,
  proxy: Proxy,
): ReadonlyMap<GatewayServer, readonly Passage[]> {
  const servers = plan.listeners.flatMap((listener) => listener.servers.map(({ server }) => server));
  const caller = { ...callerOf(model, proxy), gateways: [] };
  return new Map(
    servers
      .filter(({ tls }) => tls?.mode === "auto-passthrough")
      .map((server) => [server, passagesOf(model, caller, server.hosts)]),
  );
}

/** Keys go to nobody whose certificate has not proven who it is: such a proxy gets no server that needs one. */
function planFor(model: Model, proxy: Proxy, ports: Proxy["ports"] | undefined): GatewayPlan {
  const { credentials, ...others } = model;
  const pods = { namespace: proxy.namespace, labels: proxy.labels, ports: ports ?? proxy.ports };
  return planGateway(proxy.proven && credentials !== undefined ? { ...others, credentials } : others, pods);
}

function keepEqual(before: ResourceSet | undefined, resources: readonly Resource[]): ResourceSet {
  const same =
    before?.size === resources.length &&
    resources.every(({ name, version }) => before.get(name)?.version === version);
  return same ? before : resourceSet(resources);
}

function isSameList<T>(before: readonly T[] | undefined, after: readonly T[]): boolean {
  return before?.length === after.length && before.every((item, index) => item === after[index]);
}
