import { EndpointSliceKind } from "../api/core.ts";
import { IstioGatewayKind } from "../api/kinds.ts";
import type { Kind, KubeObject, ResourceRef } from "../api/resource.ts";
import { upstreamAttemptLogs } from "./build/attempt-log.ts";
import { createBuilder } from "./build/builder.ts";
import type { ResourceType } from "./build/resource.ts";
import { inboundAccessLogs, outboundAccessLogs } from "./build/telemetry.ts";
import { createWithdrawals } from "./build/withdrawals.ts";
import { noPolicies } from "./build/workload-filters.ts";
import type { AckEvent, Holding, Mesh, MeshOptions, ProxyStatus } from "./contract.ts";
import { createKeptServices } from "./kept-services.ts";
import { defaultSettings, type MeshSettings, type Model } from "./model/model.ts";
import type { Proxy } from "./model/proxy.ts";
import { gatewayHolding, programmedIn } from "./programmed.ts";
import { refusalProblems } from "./refusals.ts";
import { findRule, weightKinds } from "./route-kinds.ts";
import { type Changes, createChanges } from "./translate/changes.ts";
import { createTranslator, translatedKinds } from "./translate/translate.ts";
import { type Connected, createAds } from "./xds/ads.ts";
import { createCuts } from "./xds/cuts.ts";
import { adsDefinition } from "./xds/definition.ts";
import { recogniseProxy } from "./xds/recognise.ts";
import { createSchedule } from "./xds/schedule.ts";
import type { Rejection } from "./xds/stream.ts";

/** Weights and endpoints: changes of these kinds wait for nothing. */
const urgentKinds: readonly object[] = [EndpointSliceKind, ...weightKinds];

/**
 * Starts the mesh: watches the kinds it is made of and keeps every connected proxy at the newest view.
 *
 * Resolves when the first list of every kind is in, so that no proxy is served from half a picture.
 */
export async function startMesh(options: MeshOptions): Promise<Mesh> {
  const { informers, logger, clock, policyFilters = () => noPolicies, policyKinds = [] } = options;
  const settings: MeshSettings = { ...defaultSettings, ...options.settings };
  const telemetry = options.telemetry ?? { inboundAccessLogs, outboundAccessLogs, upstreamAttemptLogs };
  const translate = createTranslator(settings);
  const withdrawals = createWithdrawals();
  const builder = createBuilder({ policyFilters, telemetry, withdrawals });
  const cuts = createCuts(logger);
  const schedule = createSchedule(clock, refresh);
  /** What each proxy says of the answers that it refused, until it takes one of the type. */
  const refusals = new WeakMap<Proxy, Map<ResourceType, string>>();
  const ackListeners = new Set<(event: AckEvent) => void>();
  const statusListeners = new Set<() => void>();

  const kept = createKeptServices(clock, (kind, object) => {
    changes?.add(kind, object);
    schedule.soon();
  });

  await informers.watch(...translatedKinds, ...policyKinds);
  /** What the model was made of. */
  let followed = informers.snapshot();
  let { model: stored, problems, gatewayApi } = translate(followed);
  /** Since the last translation; undefined where all must be looked at. */
  let changes: Changes | undefined = createChanges();
  let model = stored;

  const ads = createAds<Proxy>({
    clock,
    logger,
    recognise: (peer) => recogniseProxy(peer, model.workloads, settings.trustDomain),
    viewOf: (proxy) => builder.viewOf(model, proxy),
    onConnected: tell,
    onClosed: (proxy) => {
      const stillThere = [...ads.connections()].some((connected) => connected.proxy.id === proxy.id);
      if (!stillThere) builder.forget(proxy);
      tell();
    },
    onAcknowledged: (proxy, { type, resources }) => {
      withdrawals.accept(resources);
      refusals.get(proxy)?.delete(type);
      for (const listener of ackListeners) listener({ proxy, type, at: clock.now() });
      if (builder.hasLingering()) schedule.urgent();
      tell();
    },
    onAsked: (proxy, stream, type, names) => {
      if (type !== "cluster" || proxy.scope !== "learned") return;
      // The other pods of its workload get it too; this one at once, also where another has just taught it.
      if (builder.learn(model, proxy, names)) schedule.soon();
      stream.publish(builder.viewOf(model, proxy));
    },
    onRejected: (proxy, rejection) => {
      const { type, error } = rejection;
      logger.error({ proxy: proxy.id, type, error }, "a proxy refused a resource");
      refusals.set(proxy, (refusals.get(proxy) ?? new Map<ResourceType, string>()).set(type, error));
      withdraw(rejection);
    },
    ...(options.removalDelay !== undefined && { removalDelay: options.removalDelay }),
    ...(options.onQuiet && { onQuiet: options.onQuiet }),
  });

  /** Brings the model to the newest snapshot and every proxy to the newest model. */
  function refresh(): void {
    try {
      const snapshot = informers.snapshot();
      kept.settle(snapshot);
      followed = kept.over(snapshot);
      cuts.settle(followed);
      const since = changes;
      changes = undefined;
      ({ model: stored, problems, gatewayApi } = translate(followed, since));
      changes = createChanges();
      model = withCuts(stored);
      const allHoldRoutes = [...ads.connections()].every(({ stream }) => stream.holds("route"));
      if (builder.hasLingering() && allHoldRoutes) builder.dropLingering();
      ads.publish();
      tell();
    } catch (error) {
      // What is served stays; the next change tries again.
      logger.error({ err: error }, "the mesh could not follow a change");
    }
  }

  let cut: { readonly from: Model; readonly model: Model } | undefined;

  /** The model as the cuts hold it; the same object while neither changes. */
  function withCuts(from: Model): Model {
    const routes = cuts.apply(from.routes);
    if (routes === from.routes) return from;
    const before = cut?.from === from ? cut.model : undefined;
    if (before?.routes.every((table, index) => table === routes[index])) return before;
    cut = { from, model: { ...from, routes } };
    return cut.model;
  }

  function statusOf({ proxy, stream, since }: Connected<Proxy>): ProxyStatus {
    const synced = stream.holds("cluster", "endpoint", "listener", "route", "runtime");
    return { proxy, since, synced };
  }

  /** An object that has changed since the last refresh is held by nobody yet. */
  function programmed(source: ResourceRef): Holding {
    if (source.kind === IstioGatewayKind.kind) return programmedGateway(source);
    const { held, of } = programmedIn(ads.connections(), source);
    return { held: findRule(informers.snapshot(), source) === findRule(followed, source) ? held : 0, of };
  }

  function programmedGateway({ namespace, name }: ResourceRef): Holding {
    const object = informers.snapshot().get(IstioGatewayKind, namespace, name);
    const routers = [...ads.connections()].filter(({ proxy }) => proxy.kind === "router");
    const { held, of } = gatewayHolding(
      routers.map(statusOf),
      model.gateways?.find(
        (one) => one.className === undefined && one.namespace === namespace && one.name === name,
      ),
    );
    return { held: object !== undefined && follows(IstioGatewayKind, object) ? held : 0, of };
  }

  function follows(kind: Kind, { metadata }: KubeObject): boolean {
    const known = followed.get(kind, metadata.namespace, metadata.name)?.metadata;
    return known?.uid === metadata.uid && known?.generation === metadata.generation;
  }

  /** Takes back what a proxy refused, for all. Envoy names the culprit in most of its messages. */
  function withdraw({ type, resources, error }: Rejection): void {
    const named = resources.filter(({ name }) => error.includes(name));
    const refused = named.length > 0 ? named : resources;
    // No older runtime layer is right: this proxy gets the table with the real weights instead.
    const changed =
      type !== "runtime" && refused.filter((resource) => withdrawals.refuse(resource, error)).length > 0;
    if (changed) builder.invalidate();
    // Not at once: the stream that tells of it is in the middle of a step.
    schedule.urgent();
  }

  function policiesChanged(): void {
    builder.invalidateOwn();
    schedule.soon();
  }

  function tell(): void {
    for (const listener of statusListeners) listener();
  }

  const unsubscribe = [
    ...translatedKinds.map((kind) =>
      informers.onChange(kind, ({ kind: what, object }) => {
        if (what === "deleted") kept.deleted(kind, object);
        changes?.add(kind, object);
        if (urgentKinds.includes(kind)) schedule.urgent();
        else schedule.soon();
      }),
    ),
    ...policyKinds.map((kind) => informers.onChange(kind, policiesChanged)),
    ...(options.onPolicyChange ? [options.onPolicyChange(policiesChanged)] : []),
  ];

  return {
    services: [{ definition: adsDefinition, implementation: ads.implementation }],
    cuts: {
      set(asked) {
        if (cuts.add(asked, informers.snapshot())) refresh();
        return programmed(asked.route);
      },
      release(id) {
        if (cuts.remove(id)) refresh();
      },
      list: cuts.list,
    },
    connectedProxies: () => [...ads.connections()].map(statusOf),
    inspect: () =>
      Array.from(ads.connections(), ({ proxy, stream, since }) => ({
        proxy,
        since,
        stateOf: (type) => stream.stateOf(type),
        wanted: (type) => stream.wanted(type),
        refused: (type) => refusals.get(proxy)?.get(type),
      })),
    onAck(listener) {
      ackListeners.add(listener);
      return () => ackListeners.delete(listener);
    },
    programmed,
    follows,
    problems: () => [...problems(), ...refusalProblems(withdrawals.list())],
    gatewayApi: () => gatewayApi,
    withdrawals: withdrawals.list,
    viewOf: (proxy) => builder.viewOf(model, proxy),
    model: () => model,
    onStatus(listener) {
      statusListeners.add(listener);
      return () => statusListeners.delete(listener);
    },
    close() {
      schedule.close();
      kept.close();
      for (const stop of unsubscribe) stop();
      statusListeners.clear();
    },
  };
}
