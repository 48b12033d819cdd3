import { type Caller, isVisible, routesFor } from "../model/caller.ts";
import type { Interception } from "../model/proxy.ts";
import { isHttp, isRouted, type Service } from "../model/service.ts";
import { bindsPort, type EgressListener, isLetIn, listenersOn } from "../model/sidecar.ts";
import { type ConnectionModel, chainsOf, connectionTables } from "./connection-chains.ts";
import type { RedirectPort } from "./redirect-ports.ts";
import { waysOf } from "./ways.ts";

const loopback = "127.0.0.1";

/** Whether a listener has an address of its own, and is not at those of its hosts. */
function hasAddress({ port, bind, ...listener }: EgressListener, interception: Interception): boolean {
  return port !== undefined && (bind !== undefined || bindsPort(listener, interception));
}

/**
 * The listeners that a Sidecar's `egress` has at addresses of their own, each address and port once; those behind which
 * there is nobody are left out.
 *
 * @see networking.istio.io Sidecar, IstioEgressListener: without `bind` what is bound is bound to the loopback
 */
export function egressPorts(
  model: ConnectionModel,
  caller: Caller,
  interception: Interception,
): RedirectPort[] {
  const found = new Map<string, RedirectPort>();
  for (const listener of model.egress ?? []) {
    const { port, bind } = listener;
    if (port === undefined || !hasAddress(listener, interception)) continue;
    const bound = bindsPort(listener, interception);
    // Where nothing is captured, what waits for it waits in vain.
    if (!bound && interception === "NONE") continue;
    const address = bind ?? loopback;
    const key = `${address}_${port.number}`;
    const built = found.has(key) ? undefined : behind(listener, port, model, caller);
    if (built !== undefined)
      found.set(key, { address, number: port.number, ...built, ...(bound && { bound }) });
  }
  return [...found.values()];
}

/** What is behind a port of a listener: route tables for HTTP, else the first of its hosts that has the port. */
function behind(
  listener: EgressListener,
  { number, protocol }: NonNullable<EgressListener["port"]>,
  model: ConnectionModel,
  caller: Caller,
): Pick<RedirectPort, "kind" | "chains"> | undefined {
  const hosts = [...model.services.values()].flatMap((service) => {
    const port = service.ports.find((one) => one.number === number && one.protocol !== "udp");
    const isMeant =
      isVisible(service.exportTo, caller.namespace) && isLetIn(listener, service.namespace, service.host);
    return port !== undefined && isMeant ? { service, port } : [];
  });
  const hasRoutes = hosts.some(({ port }) => isRouted(port.protocol));
  if (hasRoutes && isHttp(protocol)) return { kind: "http", chains: [] };
  const [first] = hosts;
  if (first === undefined) return undefined;
  const tables = connectionTables(routesFor(model.routes, caller));
  const chains = chainsOf(first.service, { number, protocol }, tables, waysOf(model, caller));
  return { kind: hasRoutes && protocol === "undeclared" ? "sniffed" : "tcp", chains };
}

/** Whether a Service's port is to be found at the listeners' own addresses alone, not at the Service's. */
export function isElsewhere({ egress = [] }: ConnectionModel, service: Service, number: number): boolean {
  const named = listenersOn(egress, number).filter((one) => isLetIn(one, service.namespace, service.host));
  return named.length > 0 && named.every((one) => hasAddress(one, "REDIRECT"));
}
