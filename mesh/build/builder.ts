import { RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import type { Model } from "../model/model.ts";
import type { Interception, Proxy } from "../model/proxy.ts";
import { createOutboundBuilder } from "./outbound.ts";
import { createOwnBuilder, type Own } from "./own.ts";
import { encodeResource, type Resource } from "./resource.ts";
import { differenceBetween, type ResourceSet, resourceSet } from "./resource-set.ts";
import { buildRuntime, runtimeLayer } from "./runtime.ts";
import { createTablesBuilder } from "./tables.ts";
import type { View } from "./view.ts";
import { createWithdrawals, type Withdrawals } from "./withdrawals.ts";
import type { PolicyFiltersOf, Telemetry } from "./workload-filters.ts";

export interface BuilderOptions {
  readonly policyFilters: PolicyFiltersOf;
  readonly telemetry: Telemetry;
  readonly withdrawals?: Withdrawals;
}

/** What the proxies of one namespace and interception mode share. */
interface Shared {
  readonly clusters: ResourceSet;
  readonly endpoints: ResourceSet;
  readonly routes: ResourceSet;
  readonly plainRoutes: ResourceSet;
  readonly runtime: ResourceSet;
  readonly runtimeKeys: ReadonlySet<string>;
}

interface OwnSets {
  readonly built: Own;
  readonly clusters: ResourceSet;
  readonly listeners: ResourceSet;
}

/**
 * Makes the function from a model and a proxy to everything that this proxy may ask for.
 *
 * The answer depends on its arguments (and on what was withdrawn) alone; between calls it keeps what it built, by the
 * identity of the model's parts, so that the work is in proportion to the change. Equal sets are the same objects.
 */
export function createBuilder({
  policyFilters,
  telemetry,
  withdrawals = createWithdrawals(),
}: BuilderOptions) {
  const outbound = createOutboundBuilder();
  const tables = createTablesBuilder();
  const own = createOwnBuilder(policyFilters, telemetry);
  const sets = new Map<string, ResourceSet>();
  /** By set and name: the last resource before the present one that a proxy took. */
  const fallbacks = new Map<string, Map<string, Resource>>();
  const kept = new Map<string, OwnSets>();
  const keySets = new Map<string, ReadonlySet<string>>();
  /** Keys that no table reads any more, kept until every proxy has the table without them. */
  const lingering = new Map<string, number>();
  let lastKeys = new Map<string, number>();
  let current: Model | undefined;
  let shared = new Map<string, Shared>();
  let views = new Map<string, { proxy: Proxy; view: View }>();

  /** The set under `key`, the very object from before where nothing differs. */
  function keep(key: string, resources: readonly Resource[]): ResourceSet {
    const good = fallbacks.get(key) ?? new Map<string, Resource>();
    const admitted = resources.flatMap(
      (resource) => withdrawals.admit(resource, good.get(resource.name)) ?? [],
    );
    const after = resourceSet(admitted);
    const before = sets.get(key);
    if (before !== undefined) {
      const { changed, removed } = differenceBetween(before, after);
      if (changed.length === 0 && removed.length === 0) return before;
      for (const { name } of changed) {
        const replaced = before.get(name);
        if (replaced !== undefined && withdrawals.isGood(replaced)) good.set(name, replaced);
      }
      for (const name of removed) good.delete(name);
    }
    fallbacks.set(key, good);
    sets.set(key, after);
    return after;
  }

  /** A proxy's own sets; without looking where it has the same and nothing is withdrawn. */
  function ownSets({ id }: Proxy, built: Own): OwnSets {
    const known = kept.get(id);
    if (known?.built === built && withdrawals.isEmpty()) return known;
    const after = {
      built,
      clusters: keep(`${id} cluster`, built.clusters),
      listeners: keep(`${id} listener`, built.listeners),
    };
    kept.set(id, after);
    return after;
  }

  function keepKeys(scope: string, keys: Iterable<string>): ReadonlySet<string> {
    const after = new Set(keys);
    const before = keySets.get(scope);
    if (before?.size === after.size && [...after].every((key) => before.has(key))) return before;
    keySets.set(scope, after);
    return after;
  }

  function buildShared(model: Model, namespace: string, interception: Interception): Shared {
    const scope = `${namespace} ${interception}`;
    const { clusters, endpoints } = outbound.build(model, namespace);
    const { runtime, plain, keys } = tables.build(model, namespace, interception);
    for (const [key, value] of keys) {
      lastKeys.set(key, value);
      lingering.delete(key);
    }
    const layer = new Map([...lingering, ...keys].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
    return {
      clusters: keep(`${scope} cluster`, clusters),
      endpoints: keep(`${scope} endpoint`, endpoints),
      routes: keep(`${scope} route`, runtime),
      plainRoutes: keep(`${scope} plain`, plain),
      runtime: keep(`${scope} runtime`, [
        encodeResource("runtime", runtimeLayer, RuntimeSchema, buildRuntime(layer)),
      ]),
      runtimeKeys: keepKeys(scope, layer.keys()),
    };
  }

  /** Turns to another model: keys that it no longer has linger. */
  function turnTo(model: Model): void {
    if (model === current) return;
    for (const [key, value] of lastKeys) lingering.set(key, value);
    lastKeys = new Map();
    current = model;
    shared = new Map();
    views = new Map();
    for (const part of [outbound, tables, withdrawals]) part.sweep();
  }

  return {
    viewOf(model: Model, proxy: Proxy): View {
      turnTo(model);
      const known = views.get(proxy.id);
      if (known?.proxy === proxy) return known.view;
      const scope = `${proxy.namespace} ${proxy.interception}`;
      const common = shared.get(scope) ?? buildShared(model, proxy.namespace, proxy.interception);
      shared.set(scope, common);
      const { clusters, listeners } = ownSets(proxy, own.build(model, proxy));
      const view: View = {
        resources: {
          runtime: [common.runtime],
          cluster: [common.clusters, clusters],
          endpoint: [common.endpoints],
          listener: [listeners],
          route: [common.routes],
          secret: [],
        },
        plainRoutes: [common.plainRoutes],
        runtimeKeys: common.runtimeKeys,
      };
      views.set(proxy.id, { proxy, view });
      return view;
    },
    /** Builds what belongs to single proxies anew, e.g. after a change of policies, which the model does not show. */
    invalidateOwn(): void {
      views = new Map();
    },
    /** Builds all views anew, e.g. after a withdrawal. */
    invalidate(): void {
      kept.clear();
      shared = new Map();
      views = new Map();
    },
    /** Whether keys are kept that no table reads. */
    hasLingering: (): boolean => [...lingering.keys()].some((key) => !lastKeys.has(key)),
    /** Every proxy has the tables without them: the keys may go. */
    dropLingering(): void {
      lingering.clear();
      this.invalidate();
    },
    /** A proxy has gone. */
    forget(proxy: Proxy): void {
      views.delete(proxy.id);
      kept.delete(proxy.id);
      own.forget(proxy);
      for (const key of [`${proxy.id} cluster`, `${proxy.id} listener`]) {
        sets.delete(key);
        fallbacks.delete(key);
      }
    },
    withdrawals,
  };
}

export type Builder = ReturnType<typeof createBuilder>;
