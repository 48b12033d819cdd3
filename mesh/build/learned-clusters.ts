import { type LearnedHosts, withDestinations, workloadKey } from "../model/learned.ts";
import type { Model } from "../model/model.ts";
import { hostOfCluster } from "../model/names.ts";
import type { Proxy } from "../model/proxy.ts";
import type { RouteTable } from "../model/route.ts";
import { changedKeys } from "../model/shared-map.ts";
import type { Outbound } from "./outbound.ts";
import type { Resource } from "./resource.ts";
import { noResources, type ResourceSet } from "./resource-set.ts";

/** What a workload's pods need, and what it was found from. */
interface Needs {
  readonly learned: ReadonlySet<string>;
  readonly routes: readonly RouteTable[];
  readonly hosts: ReadonlySet<string>;
  /** Clusters that its listeners name. */
  readonly named: ReadonlySet<string>;
}

interface Narrowed {
  readonly from: Outbound;
  readonly needs: Needs;
  readonly outbound: Outbound;
}

/**
 * Makes the function that cuts the clusters of a namespace's callers down to what the pods of one workload need: the
 * Services of their own namespace, those that they have called and where routes lead from these, and what their
 * listeners name (connections that are no HTTP, authorizers, tracers). All else their Envoys ask for at the first
 * request. The same object while nothing of it changes; a change costs what changed.
 *
 * What it has once given is not taken away while the workload is connected.
 */
export function createLearnedClusters(learned: LearnedHosts) {
  const byScope = new Map<string, Narrowed>();
  const namesIn = new WeakMap<ResourceSet, readonly string[]>();

  function needsOf(
    proxy: Proxy,
    routes: readonly RouteTable[],
    listeners: ResourceSet,
    before?: Needs,
  ): Needs {
    const called = learned.of(proxy);
    const inListeners = namesIn.get(listeners) ?? [...listeners.values()].flatMap(clusterNamesIn);
    namesIn.set(listeners, inListeners);
    const known = before?.named ?? new Set<string>();
    const named = inListeners.every((name) => known.has(name)) ? known : new Set([...known, ...inListeners]);
    const same = before !== undefined && before.learned === called && before.routes === routes;
    if (same && before.named === named) return before;
    const wanted = same ? before.hosts : withDestinations(called, routes);
    const hosts = before === undefined ? wanted : before.hosts.union(wanted);
    return {
      learned: called,
      routes,
      hosts: hosts.size === before?.hosts.size ? before.hosts : hosts,
      named,
    };
  }

  return {
    /** @param scope names the workload's pods that share all else @param seen what their Sidecar lets them know */
    narrow(scope: string, from: Outbound, seen: Model, proxy: Proxy, listeners: ResourceSet): Outbound {
      const before = byScope.get(scope);
      const needs = needsOf(proxy, seen.routes, listeners, before?.needs);
      if (before?.from === from && before.needs === needs) return before.outbound;
      const isNeeded = (name: string) => {
        const host = hostOfCluster(name) ?? "";
        const isOwn = seen.services.get(host)?.namespace === proxy.namespace;
        // What is gone is left to the set that it is gone from.
        return isOwn || needs.hosts.has(host) || needs.named.has(name);
      };
      const sameNeeds = before?.needs.hosts === needs.hosts && before.needs.named === needs.named;
      const cut = (all: ResourceSet, old: ResourceSet | undefined, kept: ResourceSet) => {
        const names = sameNeeds ? changedKeys(old, all) : [...all.keys(), ...kept.keys()];
        return kept.with(names.map((name) => [name, isNeeded(name) ? all.get(name) : undefined] as const));
      };
      const old = before?.outbound;
      const clusters = cut(from.clusters, before?.from.clusters, old?.clusters ?? noResources);
      const endpoints = cut(from.endpoints, before?.from.endpoints, old?.endpoints ?? noResources);
      const same = old?.clusters === clusters && old.endpoints === endpoints;
      const outbound = same ? old : { clusters, endpoints };
      byScope.set(scope, { from, needs, outbound });
      return outbound;
    },
    /** Nobody of this scope is connected any more. */
    forget: (scope: string): boolean => byScope.delete(scope),
  };
}

/** Names the pods that learn together, for those that do. */
export function learningScope(proxy: Proxy): string | undefined {
  return proxy.scope === "learned" ? workloadKey(proxy) : undefined;
}

const clusterName = /outbound\|\d+\|[\w.-]*\|[\w.*-]+/g;
const shortestName = "outbound|1||a".length;

/** Names of outbound clusters in a resource, whichever of its filters it is that names them. */
function clusterNamesIn({ any }: Resource): readonly string[] {
  const text = Buffer.from(any.buffer, any.byteOffset, any.byteLength).toString("latin1");
  const names = text.matchAll(clusterName).map(({ index, 0: found }) => {
    // A text's length stands before it (a varint of one or two bytes here): what follows it may look like more of it.
    const [first, last] = [any[index - 2] ?? 0, any[index - 1] ?? 0];
    return found.slice(0, last < shortestName ? (last << 7) | (first & 0x7f) : last);
  });
  return [...new Set(names)];
}
