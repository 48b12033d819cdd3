import type { Model } from "../model/model.ts";
import { isHttp } from "../model/service.ts";

/** A port of Services as the listeners of interception mode REDIRECT see it. */
export interface RedirectPort {
  /** 0.0.0.0 where requests are routed one by one: one listener for all Services of that port. */
  readonly address: string;
  readonly number: number;
  /** `sniffed`: nobody declared it, so the first bytes tell. */
  readonly kind: "http" | "sniffed" | "tcp";
  /** Whose connections they are; "" where a route table tells. */
  readonly host: string;
}

/** Ports of the proxy itself: no listener for a Service's port of that number. */
const reservedPorts: ReadonlySet<number> = new Set([15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090]);

const known = new WeakMap<Model["services"], readonly RedirectPort[]>();
let latest: { readonly fingerprint: string; readonly ports: readonly RedirectPort[] } | undefined;

/** The ports of all Services, each address and number once. The same list while nothing of it changes. */
export function redirectPorts(services: Model["services"]): readonly RedirectPort[] {
  const before = known.get(services);
  if (before !== undefined) return before;
  const ports = collect(services);
  const fingerprint = JSON.stringify(ports);
  if (latest?.fingerprint !== fingerprint) latest = { fingerprint, ports };
  known.set(services, latest.ports);
  return latest.ports;
}

function collect(services: Model["services"]): RedirectPort[] {
  const found = new Map<string, RedirectPort>();
  const add = (port: RedirectPort) => {
    const key = `${port.address}_${port.number}`;
    if (!found.has(key)) found.set(key, port);
  };
  for (const { host, ports, addresses } of services.values()) {
    for (const { number, protocol } of ports) {
      if (reservedPorts.has(number) || protocol === "udp") continue;
      if (isHttp(protocol)) add({ address: "0.0.0.0", number, kind: "http", host: "" });
      else {
        const kind = protocol === "undeclared" ? "sniffed" : "tcp";
        for (const address of addresses) add({ address, number, kind, host });
      }
    }
  }
  return [...found.values()];
}
