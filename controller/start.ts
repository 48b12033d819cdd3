import { randomUUID } from "node:crypto";
import type { Analyst } from "../analysis/analyst.ts";
import type { Providers } from "../analysis/providers/providers.ts";
import {
  ConfigMapKind,
  ControllerRevisionKind,
  DeploymentKind,
  HorizontalPodAutoscalerKind,
  type Pod,
  PodKind,
  type ReplicaSet,
  ReplicaSetKind,
  type Secret,
  SecretKind,
  ServiceKind,
} from "../api/core.ts";
import type { Hooks } from "../api/hooks.ts";
import { AlertProviderKind, CanaryKind, MetricTemplateKind } from "../api/kinds.ts";
import type { Kind, KubeObject } from "../api/resource.ts";
import type { Signals } from "../api/signals.ts";
import type { Change, Client, Informers, Recorder } from "../kube/contract.ts";

import { createQueue } from "../kube/queue.ts";
import type { Shards } from "../kube/shards.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { createRegistry, type Registry } from "../lib/metrics.ts";
import { createFlaggers } from "./adoption/flagger.ts";
import { createWriter } from "./carry-out.ts";
import type { ReconcileOptions } from "./context.ts";
import { liveRun } from "./decide/state.ts";
import { closeEntry, type Entry, type RouteAcknowledged } from "./entry.ts";
import { createEventHooks } from "./event-hooks.ts";
import { createKeyIndex, dependency, keyOf } from "./key-index.ts";
import { createControllerMetrics } from "./metrics.ts";
import { createOverlay } from "./overlay.ts";
import { createRunQueue } from "./queue.ts";
import { reconcile } from "./reconcile.ts";
import { createRollbacks } from "./rollback.ts";
import { istioRouter } from "./routers/istio.ts";
import { type ControllerSettings, defaultSettings } from "./settings.ts";
import { readState } from "./status/read.ts";
import { workloadKinds } from "./targets/kind.ts";

export interface ControllerOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  readonly signals: Signals;
  readonly analyst: Analyst;
  readonly hooks: Hooks;
  /** What the proxies hold of a route; a grace of 2 s stands in for it where it is absent or knows of no proxy. */
  readonly acknowledged?: RouteAcknowledged;
  /** Which canaries, as `namespace/name`, this process may act on. */
  readonly lease: Pick<Shards, "held" | "epoch">;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly settings?: Partial<ControllerSettings>;
  /** Who answers the queries of metrics; shared by all canaries. */
  readonly providers?: Providers;
  /** Told in `flagger_info`. */
  readonly version?: string;
  /** Where the controller's numbers go. */
  readonly registry?: Registry;
  /** Called when a burst of work (a start, a wave of new Canaries) is over and no run is under way: the moment to tidy up. */
  readonly onQuiet?: () => void;
}

export interface Controller {
  /** Looks at every canary again, e.g. when the lease was won. */
  resync(): void;
  /** Takes no more steps; runs under way stand as their status says. */
  close(): Promise<void>;
}

/** Work waits for the API server mostly: many canaries at once cost nothing. */
const concurrency = 64;
/** Looks at canaries that make a burst, and how long nothing may follow, milliseconds. */
const burst = 500;
const quiet = 2000;
/** A change of a pod or ReplicaSet is followed by others, and by its workload's: they are looked at together, milliseconds. */
const together = 50;

/**
 * Drives every Canary: watches what it depends on and looks at it at each change.
 *
 * Resolves when the first lists are there and every canary is in the queue.
 */
export async function startController(options: ControllerOptions): Promise<Controller> {
  const { client, informers, signals, logger, clock = systemClock } = options;
  const settings: ControllerSettings = { ...defaultSettings, ...options.settings };
  const overlay = createOverlay(clock);
  const writer = createWriter(client, overlay);
  const metrics = createControllerMetrics(options.registry ?? createRegistry());
  metrics.info(options.version ?? "unknown", settings.meshProvider);
  const index = createKeyIndex();
  const entries = new Map<string, Entry>();
  const flaggers = createFlaggers(settings.flaggerNamespaces);
  const rollbacks = createRollbacks({
    client,
    writer,
    overlay,
    signals,
    clock,
    logger,
    onDone: ({ canary }, latency) => metrics.rolledBack(canary, latency),
  });
  const eventHooks = createEventHooks({
    hooks: options.hooks,
    clock,
    eventWebhook: settings.eventWebhook,
  });
  const queue = createQueue({
    process: (key) => {
      noteWork();
      return reconcile(key, all);
    },
    logger,
    clock,
    concurrency,
    maxRetry: 5000,
  });
  const all: ReconcileOptions = {
    client,
    writer,
    overlay,
    recorder: options.recorder,
    hooks: options.hooks,
    eventHooks,
    lease: options.lease,
    rollbacks,
    metrics,
    clock,
    snapshot: () => informers.snapshot(),
    analyst: options.analyst,
    acknowledged: options.acknowledged,
    settings,
    sources: {
      ...(options.providers !== undefined && { providers: options.providers }),
      ...(settings.metricsServer !== undefined && { metricsServer: settings.metricsServer }),
      template: (namespace, name) => informers.snapshot().get(MetricTemplateKind, namespace, name),
      secret: async (namespace, name) => decode(informers.snapshot().get(SecretKind, namespace, name)),
    },
    index,
    entries,
    runs: createRunQueue(settings.maxRollouts),
    flaggers,
    enqueue: (key) => queue.add(key),
    watches: (kinds) => watches(kinds),
    freshRun: () => randomUUID().replaceAll("-", "").slice(-10),
    logger,
  };

  let looks = 0;
  let cancelQuiet = (): void => {};
  function noteWork(): void {
    if (++looks < burst) return;
    cancelQuiet();
    cancelQuiet = clock.after(quiet, () => {
      // Tidying up holds everything back for a moment: no guard may wait for it.
      for (const { analysis } of entries.values()) if (analysis !== undefined) return;
      looks = 0;
      options.onQuiet?.();
    });
  }

  const isOurs = (namespace: string | undefined) =>
    settings.namespace === undefined || settings.namespace === namespace;
  const wake = (kind: string, namespace: string | undefined, name: string, echo?: number): void => {
    for (const key of index.of(dependency(kind, namespace, name))) addUnlessKnown(key, echo);
  };
  const watched: readonly Kind[] = [
    ...workloadKinds,
    ServiceKind,
    ConfigMapKind,
    SecretKind,
    HorizontalPodAutoscalerKind,
    ...istioRouter.kinds,
  ];
  await informers.watch(
    CanaryKind,
    MetricTemplateKind,
    AlertProviderKind,
    ReplicaSetKind,
    PodKind,
    ControllerRevisionKind,
    ...watched,
  );
  for (const deployment of informers.snapshot().list(DeploymentKind)) flaggers.seen(deployment, false);
  const unsubscribe = [
    informers.onChange(DeploymentKind, ({ object, kind }) => {
      if (flaggers.seen(object, kind === "deleted")) resync();
    }),
    informers.onChange(ControllerRevisionKind, (change) => void noteSeen(ControllerRevisionKind, change)),
    informers.onChange(CanaryKind, (change) => {
      const echo = noteSeen(CanaryKind, change);
      const { object, kind } = change;
      const { namespace = "default" } = object.metadata;
      if (!isOurs(namespace)) return;
      addUnlessKnown(keyOf(object), echo);
      if (kind !== "modified") count(namespace, kind === "added" ? 1 : -1);
    }),
    ...watched.map((kind: Kind) =>
      informers.onChange(kind, (change) => wakeFor(change.object, noteSeen(kind, change))),
    ),
    informers.onChange(MetricTemplateKind, ({ object }) => wakeFor(object)),
    informers.onChange(ReplicaSetKind, ({ object }) => wakeOwner(object, "Deployment")),
    informers.onChange(PodKind, ({ object }) => {
      const replicaSet = ownerName(object, "ReplicaSet");
      const found =
        replicaSet && informers.snapshot().get(ReplicaSetKind, object.metadata.namespace, replicaSet);
      if (found) wakeOwner(found, "Deployment");
      for (const kind of ["DaemonSet", "StatefulSet"]) wakeOwner(object, kind);
    }),
  ];

  /** As {@link Overlay.seen}. */
  function noteSeen(kind: Kind, { kind: what, object }: Change): number | undefined {
    if (what === "deleted") writer.forget(kind, object);
    return overlay.seen(kind, object, what === "deleted");
  }

  /** The echo of a write is no reason to look again at a canary that has been looked at since the write. */
  function addUnlessKnown(key: string, echo: number | undefined): void {
    const looked = entries.get(key)?.looked;
    if (echo === undefined || looked === undefined || looked < echo) queue.add(key);
  }

  /** Kinds that few clusters have are watched from the first canary on that needs one. */
  const asked = new Map<string, boolean>(watched.map((kind) => [nameOf(kind), true]));
  function watches(kinds: readonly Kind[]): boolean {
    for (const kind of kinds.filter((one) => !asked.has(nameOf(one)))) {
      asked.set(nameOf(kind), false);
      unsubscribe.push(informers.onChange(kind, (change) => wakeFor(change.object, noteSeen(kind, change))));
      void informers.watch(kind).then(() => {
        asked.set(nameOf(kind), true);
        resync();
      });
    }
    return kinds.every((kind) => asked.get(nameOf(kind)) === true);
  }

  /** Canaries by namespace. */
  const totals = new Map<string, number>();
  function count(namespace: string, more: number): void {
    const now = (totals.get(namespace) ?? 0) + more;
    totals.set(namespace, now);
    metrics.total(namespace, now);
  }

  function wakeFor({ kind, metadata }: KubeObject, echo?: number): void {
    wake(kind, metadata.namespace, metadata.name, echo);
  }

  function wakeOwner(object: Pod | ReplicaSet, kind: string): void {
    const owner = ownerName(object, kind);
    if (owner === undefined) return;
    for (const key of index.of(dependency(kind, object.metadata.namespace, owner)))
      queue.addWithin(key, together);
  }

  function resync(): void {
    for (const namespace of totals.keys()) totals.set(namespace, 0);
    for (const object of informers.snapshot().list(CanaryKind)) {
      const namespace = object.metadata.namespace ?? "default";
      if (!isOurs(namespace)) continue;
      // All are known before the first may begin another.
      all.runs.set(keyOf(object), liveRun(readState(object.status)) !== undefined);
      count(namespace, 1);
      queue.add(keyOf(object));
    }
  }

  resync();
  return {
    resync,
    async close() {
      for (const stop of unsubscribe) stop();
      cancelQuiet();
      rollbacks.close();
      eventHooks.close();
      for (const entry of entries.values()) closeEntry(entry);
      await queue.close();
    },
  };
}

function nameOf({ group, version, plural }: Kind): string {
  return `${group}/${version}/${plural}`;
}

function ownerName({ metadata }: Pod | ReplicaSet | KubeObject, kind: string): string | undefined {
  return metadata.ownerReferences?.find((owner) => owner.kind === kind)?.name;
}

/** A Secret's values as text. */
function decode(secret: Secret | undefined): ReadonlyMap<string, string> {
  const entries = Object.entries(secret?.data ?? {});
  return new Map(entries.map(([name, value]) => [name, Buffer.from(value, "base64").toString()]));
}
