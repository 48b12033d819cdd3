import type { Caller } from "../model/caller.ts";
import { effectivePolicy, type SessionHash, type TrafficPolicy } from "../model/destination-policy.ts";
import { type Model, policyFor } from "../model/model.ts";
import { outboundCluster } from "../model/names.ts";
import type { Destination } from "../model/route.ts";

/** What a route has to know of how a destination is reached. */
export interface Way {
  readonly cluster: string;
  readonly policy: TrafficPolicy;
  /** What of a request chooses its endpoint. The same object while the policy does not change. */
  readonly hash: SessionHash | undefined;
  /** Whether the endpoint is spoken to as the client speaks to us. */
  readonly asAsked: boolean;
}

/** The way to a destination of a route on a port of a listener. */
export type WayTo = (destination: Pick<Destination, "host" | "subset" | "port">, port: number) => Way;

const noPolicy: TrafficPolicy = {};

/** How a caller reaches destinations. A destination without a port has its Service's only one, else the listener's. */
export function waysOf(model: Pick<Model, "services" | "policies" | "settings">, caller: Caller): WayTo {
  return ({ host, subset, port: asked }, listenerPort) => {
    const service = model.services.get(host);
    const ports = service?.ports ?? [];
    const number = asked ?? (ports.length === 1 ? ports[0]?.number : undefined) ?? listenerPort;
    const rule = service && policyFor(model, caller, host, service.namespace);
    const policy =
      rule === undefined
        ? noPolicy
        : effectivePolicy(
            rule,
            number,
            subset === undefined ? undefined : rule.subsets.find(({ name }) => name === subset),
          );
    const protocol = ports.find((port) => port.number === number)?.protocol;
    return {
      cluster: outboundCluster(host, number, subset),
      policy,
      hash: policy.loadBalancer?.hash,
      asAsked: speaksAsAsked(protocol, policy),
    };
  };
}

/** Whether what is spoken to a port's endpoints is the client's choice. */
export function speaksAsAsked(protocol: string | undefined, { connectionPool }: TrafficPolicy): boolean {
  if (connectionPool?.clientProtocol) return true;
  return protocol === "undeclared" && connectionPool?.upgradeToHttp2 !== true;
}
