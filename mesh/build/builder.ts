import { RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { type Caller, callerOf } from "../model/caller.ts";
import { clientSecretOf } from "../model/gateway-plan.ts";
import { workloadOf } from "../model/inbound.ts";
import { createLearnedHosts } from "../model/learned.ts";
import type { Model } from "../model/model.ts";
import { hostOfCluster } from "../model/names.ts";
import type { Interception, Proxy } from "../model/proxy.ts";
import { createSidecarScopes, sidecarFor } from "../model/sidecar.ts";
import { createAdmission } from "./admission.ts";
import { createClientSecrets } from "./client-secrets.ts";
import { createGatewayBuilder } from "./gateway.ts";
import { createGatewayTablesBuilder } from "./gateway-tables.ts";
import { grpcView } from "./grpc-view.ts";
import { createLearnedClusters, learningScope } from "./learned-clusters.ts";
import { createOutboundBuilder, type Outbound } from "./outbound.ts";
import { createOwnBuilder } from "./own.ts";
import { encodeResource, type Resource } from "./resource.ts";
import { type Layers, noResources, type ResourceSet, resourceSet } from "./resource-set.ts";
import { buildRuntime, runtimeLayer } from "./runtime.ts";
import { createTablesBuilder, type Tables } from "./tables.ts";
import type { View } from "./view.ts";
import { createWithdrawals, type Withdrawals } from "./withdrawals.ts";
import type { PolicyFiltersOf, Telemetry } from "./workload-filters.ts";

export interface BuilderOptions {
  readonly policyFilters: PolicyFiltersOf;
  readonly telemetry: Telemetry;
  readonly withdrawals?: Withdrawals;
}

/** What the proxies with the same caller and interception mode share. The same object while nothing of it changes. */
interface Shared {
  readonly caller: Caller;
  readonly outbound: Outbound;
  readonly tables: Tables;
  /** Generation of the lingering keys and withdrawals that it was built under. */
  readonly generation: number;
  readonly clusters: ResourceSet;
  /** Composite clusters of the runs that have a shield. */
  readonly shields: ResourceSet;
  readonly endpoints: ResourceSet;
  readonly routes: ResourceSet;
  readonly plainRoutes: () => ResourceSet;
  readonly runtime: ResourceSet;
  readonly runtimeKeys: ReadonlySet<string>;
}

/** The proxies that share, and what is kept for them between two models. */
interface Scope {
  readonly name: string;
  readonly caller: Caller;
  readonly interception: Interception;
  /** Ids of the proxies. */
  readonly users: Set<string>;
  /** Keys that no table reads any more, kept until every proxy has the table without them. */
  readonly lingering: Map<string, number>;
  model: Model | undefined;
  before: Shared | undefined;
  /** The set of this key from before with what differs in content, so that equal sets are one object. */
  readonly follow: (key: string, resources: readonly Resource[]) => ResourceSet;
}

/** A proxy's view, and what it was made of. */
interface Known extends Own {
  readonly proxy: Proxy;
  readonly shared: Shared;
  readonly view: View;
}

/** What belongs to a proxy alone. */
interface Own {
  readonly clusters: ResourceSet;
  readonly endpoints: ResourceSet;
  readonly listeners: ResourceSet;
  readonly secrets: ResourceSet;
}

/**
 * Makes the function from a model and a proxy to everything that this proxy may ask for.
 *
 * The answer depends on its arguments (and on what was withdrawn) alone; between calls it keeps what it built, by the
 * identity of the model's parts, so that the work is in proportion to the change. Equal sets and views are the same
 * objects.
 */
export function createBuilder({
  policyFilters,
  telemetry,
  withdrawals = createWithdrawals(),
}: BuilderOptions) {
  const outbound = createOutboundBuilder();
  const tables = createTablesBuilder();
  const own = createOwnBuilder(policyFilters, telemetry);
  const gateways = createGatewayBuilder(policyFilters, telemetry);
  const gatewayTables = createGatewayTablesBuilder();
  const sidecarScopes = createSidecarScopes();
  const admission = createAdmission(withdrawals);
  const views = new Map<string, Known>();
  const clientSecrets = createClientSecrets();
  const learned = createLearnedHosts();
  const learnedClusters = createLearnedClusters(learned);
  const scopes = new Map<string, Scope>();
  const scopeOf = new Map<string, Scope>();
  let current: Model | undefined;
  let generation = 0;

  /** What a Sidecar lets a proxy know of the model. */
  function seenBy(model: Model, proxy: Proxy): Model {
    const { labels } = workloadOf(model, proxy) ?? proxy;
    const { namespace } = proxy;
    return sidecarScopes(model, sidecarFor(model, { namespace, labels }), namespace);
  }

  function sharedOf(model: Model, proxy: Proxy, listeners: ResourceSet): Shared {
    const { interception } = proxy;
    const { labels, locality } = workloadOf(model, proxy) ?? proxy;
    const asSidecar = callerOf(model, { namespace: proxy.namespace, labels, locality });
    const isRouter = proxy.kind === "router";
    const rule = isRouter ? undefined : sidecarFor(model, { namespace: proxy.namespace, labels });
    const seen = sidecarScopes(model, rule, proxy.namespace);
    // Gateways' proxies with the same labels serve the same; whether they get secrets, each proves for itself.
    const clientSecret =
      isRouter && proxy.proven ? clientSecretOf(model, { namespace: proxy.namespace, labels }) : undefined;
    const byKind = isRouter
      ? {
          ...asSidecar,
          key: `${asSidecar.key} router ${proxy.proven} ${JSON.stringify(labels)} ${clientSecret ?? ""}`,
          gateways: [],
          clientSecret,
        }
      : rule === undefined
        ? asSidecar
        : { ...asSidecar, key: `${asSidecar.key} sidecar ${rule.source.namespace}/${rule.source.name}` };
    const { knowsShields } = proxy;
    const caller: Caller =
      knowsShields === false ? { ...byKind, key: `${byKind.key} without shields`, knowsShields } : byKind;
    const learning = learningScope(proxy);
    const shared = `${caller.key} ${interception}`;
    const name = learning === undefined ? shared : `${shared} learned ${learning}`;
    const scope = scopes.get(name) ?? createScope(name, caller, interception);
    scopes.set(name, scope);
    join(scope, proxy);
    const { before } = scope;
    const settled = scope.model === model && before?.generation === generation;
    if (settled && learning === undefined) return before;
    scope.model = model;
    const all = outbound.build(seen, caller, interception);
    const ways = learning === undefined ? all : learnedClusters.narrow(name, all, seen, proxy, listeners);
    const routed = isRouter
      ? gatewayTables.build(model, caller, gateways.build(model, proxy).plan)
      : tables.build(seen, caller, interception);
    const same = before?.outbound === ways && before.tables === routed && before.generation === generation;
    if (same) return before;
    for (const [key, value] of before?.tables.keys ?? []) scope.lingering.set(key, value);
    for (const key of routed.keys.keys()) scope.lingering.delete(key);
    scope.before = build(scope, ways, routed);
    return scope.before;
  }

  function build(scope: Scope, ways: Outbound, routed: Tables): Shared {
    const { name, follow } = scope;
    const layer = new Map([...scope.lingering, ...routed.keys].sort(([a], [b]) => (a < b ? -1 : 1)));
    const runtime = encodeResource("runtime", runtimeLayer, RuntimeSchema, buildRuntime(layer));
    const admit = (key: string, set: ResourceSet) => admission.admit(`${name} ${key}`, set);
    let plain: ResourceSet | undefined;
    return {
      caller: scope.caller,
      outbound: ways,
      tables: routed,
      generation,
      clusters: admit("cluster", ways.clusters),
      shields: admit("shield", follow("shield", routed.shields)),
      endpoints: admit("endpoint", ways.endpoints),
      routes: admit("route", follow("route", routed.runtime)),
      plainRoutes: () => {
        plain ??= admit("plain", follow("plain", routed.plain()));
        return plain;
      },
      runtime: admit("runtime", follow("runtime", [runtime])),
      runtimeKeys: keepKeys(scope.before?.runtimeKeys, layer),
    };
  }

  /** A proxy is in one scope; which, may change with the model. */
  function join(scope: Scope, { id }: Proxy): void {
    const before = scopeOf.get(id);
    if (before === scope) return;
    leave(before, id);
    scope.users.add(id);
    scopeOf.set(id, scope);
  }

  function leave(scope: Scope | undefined, id: string): void {
    scope?.users.delete(id);
    if (scope === undefined || scope.users.size > 0) return;
    scopes.delete(scope.name);
    learnedClusters.forget(scope.name);
    if (
      !scopes
        .values()
        .some(
          ({ caller, interception }) =>
            caller.key === scope.caller.key && interception === scope.interception,
        )
    ) {
      tables.forget(scope.caller, scope.interception);
      outbound.forget(scope.caller, scope.interception);
    }
    for (const key of sharedKeys) admission.forget(`${scope.name} ${key}`);
  }

  return {
    viewOf(model: Model, proxy: Proxy): View {
      if (model !== current) {
        outbound.turn(current, model);
        tables.turn(current, model);
        gatewayTables.sweep();
        withdrawals.sweep();
        current = model;
      }
      const router = proxy.kind === "router" ? gateways.build(model, proxy) : undefined;
      const built = router ?? own.build(model, proxy, seenBy(model, proxy));
      const common = sharedOf(model, proxy, built.listeners);
      const secrets = router?.secrets ?? clientSecrets(model, proxy, common.caller);
      const clusters = admission.admit(`${proxy.id} cluster`, built.clusters);
      const endpoints = admission.admit(`${proxy.id} endpoint`, router?.endpoints ?? noResources);
      const listeners = admission.admit(`${proxy.id} listener`, built.listeners);
      const known = views.get(proxy.id);
      const same =
        known?.proxy === proxy &&
        known.shared === common &&
        known.clusters === clusters &&
        known.endpoints === endpoints &&
        known.listeners === listeners &&
        known.secrets === secrets;
      if (same) return known.view;
      const full = viewFrom(common, { clusters, endpoints, listeners, secrets });
      const view = proxy.generator === "grpc" ? grpcView(full) : full;
      views.set(proxy.id, { proxy, shared: common, clusters, endpoints, listeners, secrets, view });
      return view;
    },
    /**
     * Takes note of clusters that a proxy asks for or holds already; names of nothing that it may see count for nothing.
     *
     * @returns whether the views of its workload's proxies have changed by that
     */
    learn(model: Model, proxy: Proxy, clusterNames: readonly string[]): boolean {
      if (learningScope(proxy) === undefined) return false;
      const { services } = seenBy(model, proxy);
      const hosts = clusterNames.flatMap((name) => {
        const service = services.get(hostOfCluster(name) ?? "");
        return service !== undefined && service.namespace !== proxy.namespace ? [service.host] : [];
      });
      return learned.learn(proxy, hosts);
    },
    /** Builds what belongs to single proxies anew, e.g. after a change of policies, which the model does not show. */
    invalidateOwn: () => own.invalidate(),
    /** Builds all views anew, e.g. after a withdrawal. */
    invalidate(): void {
      generation += 1;
    },
    /** Whether keys are kept that no table reads. */
    hasLingering: (): boolean => [...scopes.values()].some(({ lingering }) => lingering.size > 0),
    /** Every proxy has the tables without them: the keys may go. */
    dropLingering(): void {
      for (const { lingering } of scopes.values()) lingering.clear();
      generation += 1;
    },
    /** A proxy has gone. */
    forget(proxy: Proxy): void {
      views.delete(proxy.id);
      own.forget(proxy);
      gateways.forget(proxy);
      for (const key of ["cluster", "endpoint", "listener"]) admission.forget(`${proxy.id} ${key}`);
      leave(scopeOf.get(proxy.id), proxy.id);
      scopeOf.delete(proxy.id);
    },
    withdrawals,
  };
}

const sharedKeys = ["cluster", "shield", "endpoint", "route", "plain", "runtime"];

function createScope(name: string, caller: Caller, interception: Interception): Scope {
  const followed = new Map<string, ResourceSet>();
  return {
    name,
    caller,
    interception,
    users: new Set(),
    lingering: new Map(),
    model: undefined,
    before: undefined,
    follow(key, resources) {
      const before = followed.get(key) ?? noResources;
      const set = resourceSet(resources);
      const changed = set
        .changedSince(before)
        .filter((resource) => before.get(resource)?.version !== set.get(resource)?.version)
        .map((resource) => [resource, set.get(resource)] as const);
      const after = before.with(changed);
      followed.set(key, after);
      return after;
    },
  };
}

/** The keys of the layer; the very set from before where they are the same. */
function keepKeys(
  before: ReadonlySet<string> | undefined,
  layer: ReadonlyMap<string, number>,
): ReadonlySet<string> {
  return before?.size === layer.size && [...before].every((key) => layer.has(key))
    ? before
    : new Set(layer.keys());
}

function viewFrom(shared: Shared, { clusters, endpoints, listeners, secrets }: Own): View {
  let plain: Layers | undefined;
  return {
    resources: {
      runtime: [shared.runtime],
      cluster: [shared.clusters, shared.shields, clusters],
      endpoint: [shared.endpoints, endpoints],
      listener: [listeners],
      route: [shared.routes],
      secret: [secrets],
    },
    get plainRoutes() {
      plain ??= [shared.plainRoutes()];
      return plain;
    },
    runtimeKeys: shared.runtimeKeys,
  };
}

export type Builder = ReturnType<typeof createBuilder>;
