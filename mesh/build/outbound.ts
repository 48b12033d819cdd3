import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import {
  type DestinationPolicy,
  mergePolicies,
  type Subset,
  type TrafficPolicy,
} from "../model/destination-policy.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { type Model, policyFor } from "../model/model.ts";
import { namespaceMutualTlsMode } from "../model/mutual-tls.ts";
import { outboundCluster } from "../model/names.ts";
import type { Service, ServicePort } from "../model/service.ts";
import { changedKeys } from "../model/shared-map.ts";
import { selects } from "../model/workload.ts";
import { buildOutboundCluster } from "./cluster.ts";
import { buildEndpoints } from "./endpoints.ts";
import { createMemo } from "./memo.ts";
import { encodeResource, isSameVersion, type Resource } from "./resource.ts";
import { noResources, type ResourceSet } from "./resource-set.ts";

/** How callers of one namespace reach every Service. The same object while nothing of it changes. */
export interface Outbound {
  readonly clusters: ResourceSet;
  readonly endpoints: ResourceSet;
}

/** What a namespace's {@link Outbound} was built from, and which names each host has in it. */
interface Built {
  readonly model: Model;
  readonly outbound: Outbound;
  readonly names: Map<string, readonly string[]>;
}

interface Pair {
  readonly cluster: Resource;
  readonly endpoints: Resource;
}

const manyGone = 256;
const noEndpoints: readonly Endpoint[] = [];
const noPolicy: TrafficPolicy = {};

/**
 * Makes the function that builds how callers of a namespace reach every Service: clusters and their endpoints, one for
 * each port and one more for each subset. Only the hosts that changed are looked at again.
 */
export function createOutboundBuilder() {
  const clusters = createMemo<Resource>(isSameVersion);
  const endpoints = createMemo<Resource>(isSameVersion);
  const policies = createMemo<TrafficPolicy>();
  const built = new Map<string, Built>();
  /** Hosts that ended since the last sweep: what is remembered of them is of no use. */
  let gone = 0;

  function buildPair(
    model: Model,
    rule: DestinationPolicy | undefined,
    service: Service,
    port: ServicePort,
    subset: Subset | undefined,
  ): Pair {
    const { settings } = model;
    const behind = model.endpoints.get(service.host);
    const name = outboundCluster(service.host, port.number, subset?.name);
    const sources = new Set(rule === undefined ? [] : [rule]);
    const policy =
      rule === undefined
        ? noPolicy
        : policies.get(`${rule.namespace} ${name}`, [rule, subset], () =>
            effectivePolicy(rule, port.number, subset),
          );
    const autoMutualTls =
      namespaceMutualTlsMode(model.mutualTls, settings.rootNamespace, service.namespace) !== "DISABLE";
    const identities = behind?.identities ?? [];
    const key = `${rule?.namespace ?? ""} ${name}`;
    const cluster = clusters.get(key, [service, policy, behind?.identities, autoMutualTls], () => {
      const message = buildOutboundCluster({
        service,
        port,
        subset: subset?.name ?? "",
        policy,
        identities: identities.map((identity) => `spiffe://${settings.trustDomain}/ns/${identity}`),
        autoMutualTls,
        trustDomain: settings.trustDomain,
      });
      return encodeResource("cluster", name, ClusterSchema, message, sources);
    });
    const all = behind?.byPort.get(port.number) ?? noEndpoints;
    const assignment = endpoints.get(key, [all, subset], () => {
      const chosen = subset === undefined ? all : all.filter(({ labels }) => isIn(subset, labels));
      const message = buildEndpoints(name, chosen);
      return encodeResource("endpoint", name, ClusterLoadAssignmentSchema, message, sources);
    });
    return { cluster, endpoints: assignment };
  }

  function pairsOf(model: Model, namespace: string, host: string): Pair[] {
    const service = model.services.get(host);
    if (service === undefined) return [];
    const rule = policyFor(model, namespace, host, service.namespace);
    return service.ports
      .filter(({ protocol }) => protocol !== "udp")
      .flatMap((port) => [
        buildPair(model, rule, service, port, undefined),
        ...(rule?.subsets ?? []).map((subset) => buildPair(model, rule, service, port, subset)),
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
    build(model: Model, namespace: string): Outbound {
      const before = built.get(namespace);
      const names = before?.names ?? new Map<string, readonly string[]>();
      const changed = {
        clusters: new Map<string, Resource | undefined>(),
        endpoints: new Map<string, Resource | undefined>(),
      };
      for (const host of staleHosts(model, before)) {
        const pairs = pairsOf(model, namespace, host);
        for (const name of names.get(host) ?? []) {
          changed.clusters.set(name, undefined);
          changed.endpoints.set(name, undefined);
        }
        for (const { cluster, endpoints } of pairs) {
          changed.clusters.set(cluster.name, cluster);
          changed.endpoints.set(endpoints.name, endpoints);
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
      built.set(namespace, { model, outbound, names });
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
    /** Nobody of this namespace is connected any more. */
    forget: (namespace: string): boolean => built.delete(namespace),
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

/** Of a port (replaces the host's whole), below what the subset sets. */
function effectivePolicy(rule: DestinationPolicy, port: number, subset: Subset | undefined): TrafficPolicy {
  const host = rule.byPort.get(port) ?? rule.policy;
  return subset === undefined ? host : mergePolicies(host, subset.byPort.get(port) ?? subset.policy);
}

/** A subset without labels is all endpoints. */
function isIn({ labels }: Subset, pod: Readonly<Record<string, string>>): boolean {
  return Object.keys(labels).length === 0 || selects(labels, pod);
}
