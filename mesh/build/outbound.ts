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
import type { Service, ServicePort } from "../model/service.ts";
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

  function buildPair(
    model: Model,
    caller: Caller,
    direct: boolean,
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
        : policies.get(`${keyOf(rule)} ${name}`, [rule, subset], () =>
            effectivePolicy(rule, port.number, subset),
          );
    const autoMutualTls =
      namespaceMutualTlsMode(model.mutualTls, settings.rootNamespace, service.namespace) !== "DISABLE";
    const identities = behind?.identities ?? [];
    const originalDestination = direct && policy.loadBalancer?.algorithm === "original-destination";
    const key = `${rule === undefined ? "" : keyOf(rule)} ${name}`;
    const cluster = clusters.get(
      `${key} ${originalDestination}`,
      [service, policy, behind?.identities, autoMutualTls],
      () => {
        const message = buildOutboundCluster({
          service,
          port,
          subset: subset?.name ?? "",
          policy,
          identities: identities.map((identity) => `spiffe://${settings.trustDomain}/ns/${identity}`),
          autoMutualTls,
          trustDomain: settings.trustDomain,
          originalDestination,
        });
        return encodeResource("cluster", name, ClusterSchema, message, sources);
      },
    );
    if (originalDestination) return { cluster };
    const all = behind?.byPort.get(port.number) ?? noEndpoints;
    const place = isPlaced(policy) ? ` ${caller.key}` : "";
    const assignment = endpoints.get(key + place, [all, subset, policy], () => {
      const chosen = subset === undefined ? all : all.filter(({ labels }) => isIn(subset, labels));
      const { loadBalancer, outlierDetection } = policy;
      const ejects = outlierDetection !== undefined;
      const groups = balanceLocalities(chosen, caller, loadBalancer?.locality, ejects);
      const message = buildEndpoints(name, groups);
      return encodeResource("endpoint", name, ClusterLoadAssignmentSchema, message, sources);
    });
    return { cluster, endpoints: assignment };
  }

  function pairsOf(model: Model, caller: Caller, direct: boolean, host: string): Pair[] {
    const service = model.services.get(host);
    if (service === undefined || !isVisible(service.exportTo, caller.namespace)) return [];
    const rule = policyFor(model, caller, host, service.namespace);
    return service.ports
      .filter(({ protocol }) => protocol !== "udp")
      .flatMap((port) => [
        buildPair(model, caller, direct, rule, service, port, undefined),
        ...(rule?.subsets ?? []).map((subset) =>
          buildPair(model, caller, direct, rule, service, port, subset),
        ),
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
        const pairs = pairsOf(model, caller, interception === "REDIRECT", host);
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

/** Whether the order of the endpoints depends on where the caller is. */
function isPlaced({ loadBalancer, outlierDetection }: TrafficPolicy): boolean {
  return loadBalancer?.locality !== undefined || outlierDetection !== undefined;
}

/** A subset without labels is all endpoints. */
function isIn({ labels }: Subset, pod: Readonly<Record<string, string>>): boolean {
  return Object.keys(labels).length === 0 || selects(labels, pod);
}
