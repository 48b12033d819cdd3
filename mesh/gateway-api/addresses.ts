import { ServiceKind } from "../../api/core.ts";
import type { Gateway } from "../../api/kinds.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { Model } from "../model/model.ts";
import { serviceHost } from "../model/names.ts";
import { deploymentName } from "./deployment.ts";

export interface GatewayAddress {
  readonly type: "IPAddress" | "Hostname";
  readonly value: string;
}

/** What leads to Services in this installation. */
export interface AddressSource {
  /** Whether pods are known by loopback addresses. */
  readonly loopback: boolean;
  /** Whether nothing gives Services of type LoadBalancer an address, while ClusterIPs are reached. */
  readonly noLoadBalancer: boolean;
}

/**
 * Where a Gateway's Service is reached: its load balancer's addresses; of a ClusterIP its name; on one machine's loopback
 * addresses, where no ClusterIP leads anywhere, its pods; where nobody balances loads, its ClusterIP.
 */
export function addressesOf(
  gateway: Gateway,
  snapshot: Snapshot,
  { endpoints, settings }: Pick<Model, "endpoints" | "settings">,
  { loopback, noLoadBalancer }: AddressSource,
): readonly GatewayAddress[] {
  const { namespace = "default" } = gateway.metadata;
  const name = deploymentName(gateway);
  const service = snapshot.get(ServiceKind, namespace, name);
  if (service === undefined) return [];
  const host = serviceHost(name, namespace, settings.domain);
  if (loopback) {
    const pods = [...(endpoints.get(host)?.byPort.values() ?? [])].flat();
    return [...new Set(pods.map(({ address }) => address))].map((value) => ({ type: "IPAddress", value }));
  }
  if (service.spec?.type !== "LoadBalancer") return [{ type: "Hostname", value: host }];
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const { clusterIP = "" } = service.spec;
  if (noLoadBalancer && ingress.length === 0)
    return clusterIP === "" ? [] : [{ type: "IPAddress", value: clusterIP }];
  return ingress.flatMap(({ ip, hostname }): GatewayAddress[] =>
    ip !== undefined && ip !== ""
      ? [{ type: "IPAddress", value: ip }]
      : hostname !== undefined && hostname !== ""
        ? [{ type: "Hostname", value: hostname }]
        : [],
  );
}
