import type { Proxy } from "./proxy.ts";
import type { RouteTable } from "./route.ts";

/** Which Services of other namespaces the pods of each workload have called: kept for as long as the control plane runs. */
export interface LearnedHosts {
  /** Hosts that this proxy's workload has called. Another object when there are more. */
  of(proxy: Proxy): ReadonlySet<string>;
  /** @returns whether any of them was new */
  learn(proxy: Proxy, hosts: readonly string[]): boolean;
}

const none: ReadonlySet<string> = new Set();

/** Makes the memory of one control plane; of more than `most` workloads it forgets the one that learned longest ago. */
export function createLearnedHosts(most = 10_000): LearnedHosts {
  const byWorkload = new Map<string, ReadonlySet<string>>();

  return {
    of: (proxy) => byWorkload.get(workloadKey(proxy)) ?? none,
    learn(proxy, hosts) {
      const key = workloadKey(proxy);
      const known = byWorkload.get(key) ?? none;
      const added = hosts.filter((host) => !known.has(host));
      if (added.length === 0) return false;
      byWorkload.delete(key);
      byWorkload.set(key, new Set([...known, ...added]));
      const [oldest] = byWorkload.keys();
      if (byWorkload.size > most && oldest !== undefined) byWorkload.delete(oldest);
      return true;
    },
  };
}

/** The pods that learn together: those of one Deployment, StatefulSet … */
export function workloadKey({ namespace, facts }: Pick<Proxy, "namespace" | "facts">): string {
  return `${namespace}/${facts.workload}`;
}

/**
 * `hosts`, and all that the routes over them lead to: of a route to one of them every destination, so that no share of
 * its requests has to wait; and the mirrors of all routes and both versions behind all shields, as neither a copy nor a
 * composite cluster waits for anything.
 */
export function withDestinations(
  hosts: ReadonlySet<string>,
  routes: readonly RouteTable[],
): ReadonlySet<string> {
  const all = new Set(hosts);
  for (const table of routes) {
    const forwards = table.http.flatMap(({ action }) => (action.kind === "forward" ? [action] : []));
    for (const { mirrors } of forwards) for (const { destination } of mirrors) all.add(destination.host);
    if (table.live?.shield) all.add(table.live.primaryHost).add(table.live.canaryHost);
    const lists = [
      ...forwards.map(({ destinations }) => destinations.map(({ host }) => host)),
      ...[...table.tls, ...table.tcp].map(({ destinations }) => destinations.map(({ host }) => host)),
    ];
    const isCalled = table.hosts.some((host) => hosts.has(host));
    for (const list of lists)
      if (isCalled || list.some((host) => hosts.has(host))) for (const host of list) all.add(host);
  }
  return all;
}
