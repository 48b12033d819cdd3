import type { SeriesSource } from "../../analysis/promql/value.ts";
import { createProviders } from "../../analysis/providers/providers.ts";
import { folderShelves } from "../../analysis/record/folder.ts";
import { createRecordStore } from "../../analysis/record/recording.ts";
import { configMapShelves, inConfigMaps } from "../../analysis/record/ring.ts";
import { createAnalyst } from "../../analysis/watch.ts";
import type { Signals } from "../../api/signals.ts";
import type { RouteAcknowledged } from "../../controller/entry.ts";
import type { ControllerSettings } from "../../controller/settings.ts";
import { type Controller, startController } from "../../controller/start.ts";
import type { Client, Informers, Recorder } from "../../kube/contract.ts";
import { startLease } from "../../kube/lease.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Registry } from "../../lib/metrics.ts";
import { createHooks } from "../../webhooks/hooks/call.ts";
import { homeNamespace } from "../up/install.ts";
import { type Ends, endInOrder } from "./ends.ts";
import { isGone, ownHolder } from "./holder.ts";

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
  /** What the proxies report, for queries that name no Prometheus; they are inconclusive where absent. */
  readonly series?: SeriesSource;
  /** Whether metric providers may be on this machine itself: where all is on one. */
  readonly loopback?: boolean;
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
  const { settings = {}, series, loopback = false } = options;
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
  const lease = startLease(client, {
    namespace: homeNamespace,
    name: "fairlead-controller-0",
    holder: ownHolder(),
    isGone,
    logger,
    // What became due while another held it is not left for the next tick.
    onChange: (held) => held && controller?.resync(),
  });
  atEnd(() => lease.release());
  const hooks = createHooks({ logger: logger.child({ room: "hooks" }), clock });
  atEnd(() => hooks.close());
  const started = await startController({
    client,
    informers,
    recorder,
    signals,
    analyst,
    hooks,
    registry,
    acknowledged,
    settings,
    providers: createProviders({ guard, clock, ...(series !== undefined && { series }) }),
    lease,
    logger: logger.child({ room: "controller" }),
    clock,
  });
  controller = started;
  atEnd(() => started.close());
  return { stopController: () => started.close() };
}
