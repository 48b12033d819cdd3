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
import { selects } from "../model/workload.ts";
import { buildOutboundCluster } from "./cluster.ts";
import { buildEndpoints } from "./endpoints.ts";
import { createMemo } from "./memo.ts";
import { encodeResource, type Resource } from "./resource.ts";

export interface Outbound {
  readonly clusters: readonly Resource[];
  readonly endpoints: readonly Resource[];
}

const noEndpoints: readonly Endpoint[] = [];
const noPolicy: TrafficPolicy = {};

/**
 * Makes the function that builds how callers of a namespace reach every Service: clusters and their endpoints, one for
 * each port and one more for each subset. What has not changed is not built again.
 */
export function createOutboundBuilder() {
  const clusters = createMemo<Resource>();
  const endpoints = createMemo<Resource>();
  const policies = createMemo<TrafficPolicy>();

  function add(
    model: Model,
    rule: DestinationPolicy | undefined,
    service: Service,
    port: ServicePort,
    subset: Subset | undefined,
    to: Resource[][],
  ): void {
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
      return encodeResource(
        "endpoint",
        name,
        ClusterLoadAssignmentSchema,
        buildEndpoints(name, chosen),
        sources,
      );
    });
    to[0]?.push(cluster);
    to[1]?.push(assignment);
  }

  return {
    build(model: Model, namespace: string): Outbound {
      const built: { clusters: Resource[]; endpoints: Resource[] } = { clusters: [], endpoints: [] };
      const to = [built.clusters, built.endpoints];
      for (const service of model.services.values()) {
        const rule = policyFor(model, namespace, service.host, service.namespace);
        for (const port of service.ports) {
          if (port.protocol === "udp") continue;
          add(model, rule, service, port, undefined, to);
          for (const subset of rule?.subsets ?? []) add(model, rule, service, port, subset, to);
        }
      }
      return built;
    },
    sweep(): void {
      clusters.sweep();
      endpoints.sweep();
      policies.sweep();
    },
  };
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
