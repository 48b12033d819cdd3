import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { type Caller, isVisible } from "../model/caller.ts";
import {
  type DestinationPolicy,
  effectivePolicy,
  type Subset,
  type TrafficPolicy,
} from "../model/destination-policy.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { balanceLocalities } from "../model/locality.ts";
import { type Model, policyFor } from "../model/model.ts";
import { namespaceMutualTlsMode } from "../model/mutual-tls.ts";
import { outboundCluster } from "../model/names.ts";
import type { Interception } from "../model/proxy.ts";
import { isHttp, type Service, type ServicePort } from "../model/service.ts";
import { changedKeys } from "../model/shared-map.ts";
import { selects } from "../model/workload.ts";
import { buildOutboundCluster } from "./cluster.ts";
import { buildEndpoints } from "./endpoints.ts";
import { createMemo } from "./memo.ts";
import { encodeResource, isSameVersion, type Resource } from "./resource.ts";
import { noResources, type ResourceSet } from "./resource-set.ts";

/** How callers of one kind reach every Service. The same object while nothing of it changes. */
export interface Outbound {
  readonly clusters: ResourceSet;
  readonly endpoints: ResourceSet;
}

/** What a caller's {@link Outbound} was built from, and which names each host has in it. */
interface Built {
  readonly model: Model;
  readonly outbound: Outbound;
  readonly names: Map<string, readonly string[]>;
}

interface Pair {
  readonly cluster: Resource;
  /** undefined where it needs none. */
  readonly endpoints?: Resource;
}

interface Context {
  readonly model: Model;
  readonly caller: Caller;
  readonly interception: Interception;
}

/** A Service's port, or a subset of it, as a caller reaches it. */
interface Reached {
  readonly model: Model;
  readonly caller: Caller;
  readonly rule: DestinationPolicy | undefined;
  readonly service: Service;
  readonly port: ServicePort;
  readonly subset: Subset | undefined;
  readonly key: string;
  readonly policy: TrafficPolicy;
  readonly all: readonly Endpoint[];
  /** Whether connections go where the client's were bound for. */
  readonly direct: boolean;
  /** Whether the requested host is resolved at each request. */
  readonly byHost: boolean;
}

const manyGone = 256;
const noEndpoints: readonly Endpoint[] = [];
const noPolicy: TrafficPolicy = {};

/**
 * Makes the function that builds how callers of one kind (see `mesh/model/caller.ts`) reach every Service: clusters and their endpoints, one for
 * each port and one more for each subset. Only the hosts that changed are looked at again.
 */
export function createOutboundBuilder() {
  const clusters = createMemo<Resource>(isSameVersion);
  const endpoints = createMemo<Resource>(isSameVersion);
  const policies = createMemo<TrafficPolicy>();
  const built = new Map<string, Built>();
  /** Hosts that ended since the last sweep: what is remembered of them is of no use. */
  let gone = 0;

  function buildCluster({
    model,
    rule,
    service,
    port,
    subset,
    key,
    policy,
    all,
    direct,
    byHost,
  }: Reached): Resource {
    const { settings, mutualTls } = model;
    const name = outboundCluster(service.host, port.number, subset?.name);
    const autoMutualTls =
      service.outside !== true &&
      namespaceMutualTlsMode(mutualTls, settings.rootNamespace, service.namespace) !== "DISABLE";
    const allMutual = direct && all.length > 0 && all.every((endpoint) => endpoint.mutualTls);
    const identities = model.endpoints.get(service.host)?.identities;
    const resolved = service.resolution === "dns" || service.resolution === "dns-round-robin";
    const behind = resolved ? all : undefined;
    const inputs = [service, policy, identities, autoMutualTls, allMutual, behind, subset];
    return clusters.get(`${key} ${direct} ${byHost}`, inputs, () => {
      const message = buildOutboundCluster({
        service,
        port,
        subset: subset?.name ?? "",
        policy,
        identities:
          service.subjectAltNames ??
          (identities ?? []).map((identity) => `spiffe://${settings.trustDomain}/ns/${identity}`),
        autoMutualTls,
        trustDomain: settings.trustDomain,
        originalDestination: direct,
        byRequestedHost: byHost,
        assignment:
          behind && buildEndpoints(name, [{ ...onePlace, endpoints: chosenOf(service, behind, subset) }]),
        allMutual,
      });
      return encodeResource("cluster", name, ClusterSchema, message, sourcesOf(rule));
    });
  }

  function buildAssignment({ caller, rule, service, port, subset, key, policy, all }: Reached): Resource {
    const name = outboundCluster(service.host, port.number, subset?.name);
    const { loadBalancer, outlierDetection } = policy;
    const ejects = outlierDetection !== undefined;
    // Only where the order of the endpoints depends on where the caller is, callers differ.
    const isPlaced = loadBalancer?.locality !== undefined || ejects;
    return endpoints.get(isPlaced ? `${key} ${caller.key}` : key, [all, subset, policy], () => {
      const chosen = chosenOf(service, all, subset);
      const groups = balanceLocalities(chosen, caller, loadBalancer?.locality, ejects);
      const message = buildEndpoints(name, groups);
      return encodeResource("endpoint", name, ClusterLoadAssignmentSchema, message, sourcesOf(rule));
    });
  }

  function buildPair(
    { model, caller, interception }: Context,
    rule: DestinationPolicy | undefined,
    service: Service,
    port: ServicePort,
    subset: Subset | undefined,
  ): Pair {
    const name = outboundCluster(service.host, port.number, subset?.name);
    const { clientSecret } = caller;
    const key = `${rule === undefined ? "" : keyOf(rule)} ${name}${clientSecret === undefined ? "" : ` ${clientSecret}`}`;
    const policy =
      rule === undefined
        ? noPolicy
        : policies.get(key, [rule, subset], () =>
            withCertificate(effectivePolicy(rule, port.number, subset), clientSecret),
          );
    const direct =
      interception === "REDIRECT" &&
      (policy.loadBalancer?.algorithm === "original-destination" ||
        service.resolution === "none" ||
        (subset === undefined && isReachedByPod(service, port)));
    const all = model.endpoints.get(service.host)?.byPort.get(port.number) ?? noEndpoints;
    const byHost =
      service.resolution === "dynamic-dns" || (service.resolution === "none" && interception === "NONE");
    const reached = { model, caller, rule, service, port, subset, key, policy, all, direct, byHost };
    const cluster = buildCluster(reached);
    const isResolved = service.resolution === "dns" || service.resolution === "dns-round-robin";
    return direct || byHost || isResolved ? { cluster } : { cluster, endpoints: buildAssignment(reached) };
  }

  function pairsOf(context: Context, host: string): Pair[] {
    const { model, caller } = context;
    const service = model.services.get(host);
    if (service === undefined || !isVisible(service.exportTo, caller.namespace)) return [];
    const rule = policyFor(model, caller, host, service.namespace);
    return service.ports
      .filter(({ protocol }) => protocol !== "udp")
      .flatMap((port) => [
        buildPair(context, rule, service, port, undefined),
        ...(rule?.subsets ?? []).map((subset) => buildPair(context, rule, service, port, subset)),
      ]);
  }

  /** Hosts that may differ from what was built. */
  function staleHosts(model: Model, before: Built | undefined): ReadonlySet<string> {
    if (before === undefined || isRuledOtherwise(before.model, model))
      return new Set([...model.services.keys(), ...(before?.names.keys() ?? [])]);
    return new Set([
      ...changedKeys(before.model.services, model.services),
      ...changedKeys(before.model.endpoints, model.endpoints),
    ]);
  }

  return {
    build(model: Model, caller: Caller, interception: Interception): Outbound {
      const key = `${caller.key} ${interception}`;
      const before = built.get(key);
      const names = before?.names ?? new Map<string, readonly string[]>();
      const changed = {
        clusters: new Map<string, Resource | undefined>(),
        endpoints: new Map<string, Resource | undefined>(),
      };
      for (const host of staleHosts(model, before)) {
        const pairs = pairsOf({ model, caller, interception }, host);
        for (const name of names.get(host) ?? []) {
          changed.clusters.set(name, undefined);
          changed.endpoints.set(name, undefined);
        }
        for (const { cluster, endpoints } of pairs) {
          changed.clusters.set(cluster.name, cluster);
          if (endpoints !== undefined) changed.endpoints.set(endpoints.name, endpoints);
        }
        if (pairs.length === 0) {
          names.delete(host);
          gone += 1;
        } else
          names.set(
            host,
            pairs.map(({ cluster }) => cluster.name),
          );
      }
      const old = before?.outbound;
      const after = {
        clusters: (old?.clusters ?? noResources).with(changed.clusters),
        endpoints: (old?.endpoints ?? noResources).with(changed.endpoints),
      };
      const isOld = old !== undefined && old.clusters === after.clusters && old.endpoints === after.endpoints;
      const outbound = isOld ? old : after;
      built.set(key, { model, outbound, names });
      return outbound;
    },
    /** The mesh turns from one model to another: forgets what no namespace asked for under the one before. */
    turn(from: Model | undefined, to: Model): void {
      if (from === undefined || (!isRuledOtherwise(from, to) && gone < manyGone)) return;
      gone = 0;
      clusters.sweep();
      endpoints.sweep();
      policies.sweep();
    },
    /** Nobody like this caller, of this interception mode, is connected any more. */
    forget: ({ key }: Caller, interception: Interception): boolean => built.delete(`${key} ${interception}`),
  };
}

/** Whether something differs that may concern any host. */
function isRuledOtherwise(before: Model, after: Model): boolean {
  return (
    before.policies !== after.policies ||
    before.mutualTls !== after.mutualTls ||
    before.settings !== after.settings
  );
}

function keyOf({ source }: DestinationPolicy): string {
  return `${source.namespace}/${source.name}`;
}

function sourcesOf(rule: DestinationPolicy | undefined): ReadonlySet<DestinationPolicy> {
  return new Set(rule === undefined ? [] : [rule, ...(rule.merged ?? [])]);
}

/** A policy by which TLS shows a gateway's certificate, where it has none of its own. */
function withCertificate(policy: TrafficPolicy, clientSecret: string | undefined): TrafficPolicy {
  const { tls } = policy;
  return clientSecret === undefined || tls?.mode !== "simple"
    ? policy
    : { ...policy, tls: { ...tls, clientSecret } };
}

/** A Service without an address: its clients choose a pod, and connect to that. */
function isReachedByPod({ addresses, resolution }: Service, { protocol }: ServicePort): boolean {
  return resolution === undefined && addresses.length === 0 && !isHttp(protocol);
}

/** The endpoints of a subset; where DNS gives one address at a time, the first. */
function chosenOf(
  { resolution }: Service,
  all: readonly Endpoint[],
  subset: Subset | undefined,
): readonly Endpoint[] {
  const chosen = subset === undefined ? all : all.filter(({ labels }) => isIn(subset, labels));
  return resolution === "dns-round-robin" ? chosen.slice(0, 1) : chosen;
}

const onePlace = { locality: undefined, priority: 0, weight: undefined };

/** A subset without labels is all endpoints. */
export function isIn({ labels }: Subset, pod: Readonly<Record<string, string>>): boolean {
  return Object.keys(labels).length === 0 || selects(labels, pod);
}
