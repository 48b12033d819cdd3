import type { SeriesSource } from "../../analysis/promql/value.ts";
import { createProviders } from "../../analysis/providers/providers.ts";
import { folderShelves } from "../../analysis/record/folder.ts";
import { createRecordStore } from "../../analysis/record/recording.ts";
import { configMapShelves, inConfigMaps } from "../../analysis/record/ring.ts";
import { createAnalyst } from "../../analysis/watch.ts";
import { type Secret, SecretKind } from "../../api/core.ts";
import { AlertProviderKind } from "../../api/kinds.ts";
import type { Signals } from "../../api/signals.ts";
import type { RouteAcknowledged } from "../../controller/entry.ts";
import type { ControllerSettings } from "../../controller/settings.ts";
import { type Controller, startController } from "../../controller/start.ts";
import type { Client, Informers, Recorder } from "../../kube/contract.ts";
import { startShards } from "../../kube/shards.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Registry } from "../../lib/metrics.ts";
import { type AlertsOptions, createAlerts } from "../../webhooks/alerts/send.ts";
import { createHooks } from "../../webhooks/hooks/call.ts";
import { serveGates } from "../../webhooks/hooks/gates.ts";
import { homeNamespace } from "../up/install.ts";
import { trimHeap } from "../up/trim-heap.ts";
import { version } from "../version.ts";
import { type Ends, endInOrder } from "./ends.ts";
import { isGone, ownHolder } from "./holder.ts";
import { ports } from "./ports.ts";

export interface ControllerRoomOptions {
  readonly client: Client;
  readonly informers: Informers;
  readonly recorder: Recorder;
  readonly logger: Logger;
  /** Where its metrics go. */
  readonly registry: Registry;
  /** Folder of the records of runs, or `configmaps`; none are kept where absent. */
  readonly records?: string;
  /** What the mesh's proxies see. */
  readonly signals: Signals;
  /** What the mesh's proxies hold. */
  readonly acknowledged: RouteAcknowledged;
  readonly settings?: Partial<ControllerSettings>;
  /** What the proxies report, for queries that name no Prometheus; they are inconclusive where both are absent. */
  readonly series?: SeriesSource;
  /** Where the mesh answers such queries, if it is in another process: a URL. */
  readonly meshAddress?: string;
  /** Whether metric providers, hooks and receivers of alerts may be on this machine itself: where all is on one. */
  readonly loopback?: boolean;
  /** Address on which gates and rollback switches are served. */
  readonly host: string;
  /** Who is told of Canaries that name no receiver of alerts. */
  readonly alerts?: AlertsOptions["fallback"];
  /** Replicas that share the Canaries. Default 1: one works, others wait. */
  readonly shards?: number;
}

export interface ControllerRoom {
  /** Takes no more steps; everything else goes on. */
  stopController(): Promise<void>;
  close(): Promise<void>;
}

/** Starts the controller with its judge and its hooks; what was started before an error is ended. */
export function startControllerRoom(options: ControllerRoomOptions): Promise<ControllerRoom> {
  return endInOrder((ends) => start(options, ends));
}

async function start(options: ControllerRoomOptions, atEnd: Ends): Promise<Omit<ControllerRoom, "close">> {
  const { client, informers, recorder, logger, registry, signals, acknowledged, records } = options;
  const { settings = {}, series, meshAddress, loopback = false } = options;
  const clock = systemClock;
  const guard = createAddressGuard({ loopback });
  const analysisLogger = logger.child({ room: "analysis" });
  const analyst = createAnalyst({
    ...{ signals, clock, logger: analysisLogger },
    records:
      records === undefined
        ? undefined
        : createRecordStore(
            records === inConfigMaps ? configMapShelves(client) : folderShelves(records),
            ...([clock, analysisLogger] as const),
          ),
  });
  atEnd(() => analyst.close());
  let controller: Controller | undefined;
  const lease = startShards(client, {
    namespace: homeNamespace,
    name: "fairlead-controller",
    shards: options.shards ?? 1,
    holder: ownHolder(),
    isGone,
    logger,
    // What became due while another held it is not left for the next tick.
    onChange: () => controller?.resync(),
  });
  atEnd(() => lease.release());
  const hooksLogger = logger.child({ room: "hooks" });
  const alerts = createAlerts({
    ...{ clock, guard, logger: hooksLogger },
    provider: (namespace, name) => informers.snapshot().get(AlertProviderKind, namespace, name),
    secret: (namespace, name) => secretText(informers.snapshot().get(SecretKind, namespace, name)),
    ...(options.alerts && { fallback: options.alerts }),
  });
  atEnd(() => alerts.close());
  const hooks = createHooks({
    ...{ clock, guard, alerts },
    secret: (namespace, name) => informers.snapshot().get(SecretKind, namespace, name),
  });
  atEnd(() => hooks.close());
  const gates = await serveGates({ host: options.host, port: ports.gates, client, logger: hooksLogger });
  atEnd(() => gates.close());
  const started = await startController({
    client,
    informers,
    recorder,
    signals,
    analyst,
    hooks,
    registry,
    version,
    acknowledged,
    settings,
    providers: createProviders({
      ...{ guard, clock },
      ...(series !== undefined && { series }),
      ...(meshAddress !== undefined && { meshAddress }),
    }),
    lease,
    onQuiet: trimHeap,
    logger: logger.child({ room: "controller" }),
    clock,
  });
  controller = started;
  atEnd(() => started.close());
  return { stopController: () => started.close() };
}

function secretText(secret: Secret | undefined): ReadonlyMap<string, string> | undefined {
  if (secret === undefined) return undefined;
  const entries = Object.entries(secret.data ?? {});
  return new Map(entries.map(([name, value]) => [name, Buffer.from(value, "base64").toString()]));
}
