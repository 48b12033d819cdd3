import { create } from "@bufbuild/protobuf";
import {
  type Cluster,
  ClusterSchema,
  Cluster_DiscoveryType as Discovery,
} from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { type Caller, isVisible } from "../model/caller.ts";
import { effectivePolicy, type Subset } from "../model/destination-policy.ts";
import { commonHost, type ServerHost } from "../model/gateway.ts";
import { type Model, policyFor } from "../model/model.ts";
import { outboundServerName } from "../model/names.ts";
import type { Service } from "../model/service.ts";
import { clusterStatSuffix } from "./bootstrap-telemetry.ts";
import { buildEndpoints } from "./endpoints.ts";
import { buildBalancing } from "./load-balancing.ts";
import { isIn } from "./outbound.ts";
import { buildOutliers } from "./outliers.ts";
import { buildConnect, buildLimits } from "./pool.ts";
import { fromAds } from "./values.ts";

/** A port of a Service, or a subset of it, as a gateway in mode AUTO_PASSTHROUGH hands it on. */
export interface Passage {
  /** What the callers' sidecars ask for; the cluster's name too. */
  readonly serverName: string;
  readonly cluster: Cluster;
  readonly endpoints: ClusterLoadAssignment;
}

/** ALPN of the mesh's own mutual TLS: nothing else is handed on. */
export const meshProtocols = ["istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"];

type PassageModel = Pick<Model, "services" | "endpoints" | "policies" | "settings">;

/**
 * Where the mesh's own mutual TLS goes by server name (`outbound_.80_.v1_.shop.demo.svc.cluster.local`), without routes:
 * each port and each subset of the Services that the gateway's namespace sees and that a server's hosts name. Bytes are
 * handed on as they come, so only to pods with a sidecar.
 *
 * @see networking.istio.io ServerTLSSettings.TLSmode AUTO_PASSTHROUGH
 */
export function passagesOf(model: PassageModel, caller: Caller, hosts: readonly ServerHost[]): Passage[] {
  const passages: Passage[] = [];
  for (const service of model.services.values()) {
    const { host, namespace, exportTo, outside, resolution } = service;
    const isNamed = hosts.some(
      (one) =>
        (one.namespace === undefined || one.namespace === namespace) && commonHost(one.host, host) === host,
    );
    if (
      !isNamed ||
      outside === true ||
      resolution === "none" ||
      resolution === "dynamic-dns" ||
      !isVisible(exportTo, caller.namespace)
    )
      continue;
    const rule = policyFor(model, caller, host, namespace);
    for (const { number, protocol } of service.ports) {
      if (protocol === "udp") continue;
      for (const subset of [undefined, ...(rule?.subsets ?? [])])
        passages.push(passageOf(model, service, number, rule, subset));
    }
  }
  return passages;
}

function passageOf(
  model: PassageModel,
  { host }: Service,
  port: number,
  rule: ReturnType<typeof policyFor>,
  subset: Subset | undefined,
): Passage {
  const serverName = outboundServerName(host, port, subset?.name);
  const policy = rule === undefined ? {} : effectivePolicy(rule, port, subset);
  const all = model.endpoints.get(host)?.byPort.get(port) ?? [];
  const endpoints = all.filter(
    ({ mutualTls, labels }) => mutualTls && (subset === undefined || isIn(subset, labels)),
  );
  return {
    serverName,
    cluster: create(ClusterSchema, {
      name: serverName,
      altStatName: serverName + clusterStatSuffix,
      clusterDiscoveryType: { case: "type", value: Discovery.EDS },
      edsClusterConfig: { edsConfig: fromAds() },
      ...buildBalancing(policy.loadBalancer),
      ...buildConnect(policy.connectionPool),
      circuitBreakers: { thresholds: [buildLimits(policy)] },
      ...(policy.outlierDetection && { outlierDetection: buildOutliers(policy.outlierDetection) }),
    }),
    endpoints: buildEndpoints(serverName, [
      { locality: undefined, priority: 0, weight: undefined, endpoints },
    ]),
  };
}
