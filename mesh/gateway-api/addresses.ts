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

/**
 * Where a Gateway's Service is reached: its load balancer's addresses; of a ClusterIP its name; on one machine's loopback
 * addresses, where no ClusterIP leads anywhere, its pods.
 *
 * @param loopback whether pods are known by loopback addresses
 */
export function addressesOf(
  gateway: Gateway,
  snapshot: Snapshot,
  { endpoints, settings }: Pick<Model, "endpoints" | "settings">,
  loopback: boolean,
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
  return (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }): GatewayAddress[] =>
    ip !== undefined && ip !== ""
      ? [{ type: "IPAddress", value: ip }]
      : hostname !== undefined && hostname !== ""
        ? [{ type: "Hostname", value: hostname }]
        : [],
  );
}
