/** Builds the rooms of a control plane on an API server and passes each what it needs. */
import type { ControllerSettings } from "../../controller/settings.ts";
import { systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { createRegistry } from "../../lib/metrics.ts";
import type { OpenCluster } from "../open-cluster.ts";
import { serveMonitoring } from "../up/monitoring.ts";
import { type ControllerRoom, type ControllerRoomOptions, startControllerRoom } from "./controller.ts";
import { endInOrder } from "./ends.ts";
import { startMeshRoom } from "./mesh.ts";
import { ports } from "./ports.ts";
import { startWebhooks, type WebhooksOptions } from "./webhooks.ts";

/** What a room needs of an API server. */
export type Access = Omit<OpenCluster, "close">;

export interface RoomsOptions {
  /** Of each room, which may be an account of its own; the webhooks where another program serves none. */
  readonly access: Readonly<Record<"controller" | "mesh" | "webhooks", Access>>;
  readonly logger: Logger;
  /** Address that everything binds. */
  readonly host: string;
  /** IP addresses under which clients reach the control plane. */
  readonly addresses: readonly string[];
  /** Where the API server reaches the webhooks, and what they put into sidecars. */
  readonly webhooks: Pick<WebhooksOptions, "at" | "injection" | "defaults">;
  /** Folder of the records of runs, or `configmaps`; none are kept where absent. */
  readonly records?: string;
  /** Of the controller. */
  readonly settings?: Partial<ControllerSettings>;
  /** Who is told of Canaries that name no receiver of alerts. */
  readonly alerts?: ControllerRoomOptions["alerts"];
  /** Replicas of the controller that share the Canaries. */
  readonly shards?: number;
  /** As of the mesh's room. */
  readonly noLoadBalancer?: boolean;
  /** As of the controller's room; default: where `host` is a loopback address. */
  readonly loopback?: boolean;
}

export type Rooms = ControllerRoom;

/** Starts everything in this process and resolves once it serves; what was started before an error is ended. */
export function startRooms(options: RoomsOptions): Promise<Rooms> {
  const {
    access,
    logger,
    host,
    addresses,
    webhooks,
    settings = {},
    records,
    alerts,
    shards,
    noLoadBalancer = false,
  } = options;
  return endInOrder(async (atEnd) => {
    const mesh = await startMeshRoom({
      ...{ ...access.mesh, logger, host, addresses, noLoadBalancer },
      injection: webhooks.injection,
    });
    atEnd(() => mesh.close());
    const admission = await startWebhooks({
      ...{ ...access.webhooks, host, ...webhooks },
      certificate: mesh.ca.servingCertificate,
      rootPem: mesh.ca.rootPem,
      logger: logger.child({ room: "webhooks" }),
    });
    atEnd(() => admission.close());
    const registry = createRegistry();
    const monitoring = await serveMonitoring({
      ...{ host, port: ports.monitoring, text: () => registry.text() },
      ...{ series: mesh.series, debug: mesh.debug },
      clock: systemClock,
      logger: logger.child({ room: "monitoring" }),
    });
    atEnd(() => monitoring.close());
    const controller = await startControllerRoom({
      ...access.controller,
      ...(records !== undefined && { records }),
      series: mesh.series,
      host,
      ...(alerts && { alerts }),
      ...(shards !== undefined && { shards }),
      loopback: options.loopback ?? (host === "localhost" || host === "::1" || host.startsWith("127.")),
      logger,
      registry,
      settings,
      signals: mesh.signals,
      acknowledged: (route) => mesh.programmed(route),
    });
    atEnd(() => controller.close());
    return { stopController: () => controller.stopController() };
  });
}
