/** Rooms as programs of their own, as the Helm chart runs them. */
import { readFileSync } from "node:fs";
import { ConfigMapKind } from "../../api/core.ts";
import type { ControllerSettings } from "../../controller/settings.ts";
import type { Client } from "../../kube/contract.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { createRegistry } from "../../lib/metrics.ts";
import { rootConfigMap, rootFile } from "../../mesh/ca/roots.ts";
import { connectReplicas } from "../../mesh/signals/remote/replicas.ts";
import { homeNamespace } from "../up/install.ts";
import { serveMonitoring } from "../up/monitoring.ts";
import type { Access } from "./all.ts";
import { type ControllerRoomOptions, startControllerRoom } from "./controller.ts";
import { endInOrder } from "./ends.ts";
import { type MeshRoomOptions, startMeshRoom } from "./mesh.ts";
import { ports } from "./ports.ts";

interface Running {
  close(): Promise<void>;
}

/** The mesh with its certificate authority, for controllers elsewhere. */
export function startMeshAlone(options: MeshRoomOptions): Promise<Running> {
  return endInOrder(async (atEnd) => {
    const mesh = await startMeshRoom(options);
    atEnd(() => mesh.close());
    const registry = createRegistry();
    const { host, logger } = options;
    const monitoring = await serveMonitoring({
      ...{ host, port: ports.monitoring, text: () => registry.text() },
      ...{ series: mesh.series, debug: mesh.debug },
      clock: systemClock,
      logger: logger.child({ room: "monitoring" }),
    });
    atEnd(() => monitoring.close());
    return {};
  });
}

export interface ControllerAloneOptions extends Access {
  readonly logger: Logger;
  readonly host: string;
  /** `host:port` of the mesh; the host may name several replicas. */
  readonly mesh: string;
  /** File that holds the controller's token for the mesh; read at each use, as the kubelet renews it in place. */
  readonly tokenFile: string;
  /** Folder of the records of runs, or `configmaps`; none are kept where absent. */
  readonly records?: string;
  readonly settings?: Partial<ControllerSettings>;
  /** Who is told of Canaries that name no receiver of alerts. */
  readonly alerts?: ControllerRoomOptions["alerts"];
  /** Replicas of the controller that share the Canaries. */
  readonly shards?: number;
}

/** The controller, which sees the proxies through a mesh elsewhere. */
export function startControllerAlone(options: ControllerAloneOptions): Promise<Running> {
  const { client, logger, host, mesh: address, tokenFile } = options;
  return endInOrder(async (atEnd) => {
    const clock = systemClock;
    const mesh = connectReplicas({
      address,
      serverName: `fairlead.${homeNamespace}.svc`,
      rootPem: await readRoot(client, clock, logger),
      token: () => readFileSync(tokenFile, "utf8").trim(),
      clock,
      logger: logger.child({ room: "signals" }),
    });
    atEnd(() => mesh.close());
    const registry = createRegistry();
    const monitoring = await serveMonitoring({
      ...{ host, port: ports.monitoring, text: () => registry.text(), clock },
      logger: logger.child({ room: "monitoring" }),
    });
    atEnd(() => monitoring.close());
    const controller = await startControllerRoom({
      ...options,
      registry,
      signals: mesh.signals,
      meshAddress: `http://${address.replace(/:\d+$/, "")}:${ports.monitoring}`,
      acknowledged: (route) => mesh.acknowledged(route),
    });
    atEnd(() => controller.close());
    return {};
  });
}

/** Waits for the mesh to publish its root: whoever is installed first waits for the other. */
async function readRoot(client: Client, clock: Clock, logger: Logger): Promise<string> {
  for (;;) {
    const published = await client.get(ConfigMapKind, homeNamespace, rootConfigMap);
    const root = published?.data?.[rootFile];
    if (root !== undefined) return root;
    logger.info(
      { configMap: `${homeNamespace}/${rootConfigMap}` },
      "waiting for the mesh's root certificate",
    );
    await new Promise<void>((resolve) => clock.after(1000, resolve));
  }
}
