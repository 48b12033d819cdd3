/** The control plane's rooms as a process of their own, killed at a write of the controller; the API server and the pods go on. */

import { startRooms } from "../../../cli/rooms/all.ts";
import { ports } from "../../../cli/rooms/ports.ts";
import { createClient } from "../../../kube/client.ts";
import type { Connection } from "../../../kube/contract.ts";
import { createRecorder } from "../../../kube/events.ts";
import { createInformers } from "../../../kube/informer.ts";
import { createLogger } from "../../../lib/log.ts";
import { type KillPoint, killingClient } from "./killing-client.ts";

export interface RoomsTask {
  readonly connection: Connection;
  /** Address that everything binds. */
  readonly host: string;
}

/** What the parent says once the rooms are ready: from here on writes are counted, and one of them may be the last. */
export interface CountFromHere {
  readonly kill?: KillPoint;
}

process.once("message", (task: RoomsTask) => {
  start(task).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
});

async function start({ connection, host }: RoomsTask): Promise<void> {
  const logger = createLogger(process.env.SOAK_LOG ?? "error");
  const client = createClient(connection);
  const counting = killingClient(client, undefined, (number, what) =>
    process.send?.({ kind: "write", number, what }),
  );
  process.on("message", ({ kill }: CountFromHere) => counting.countFromHere(kill));
  const access = {
    client,
    informers: createInformers(client, logger),
    recorder: createRecorder(client, logger),
  };
  await startRooms({
    access: { controller: { ...access, client: counting.client }, mesh: access, webhooks: access },
    logger,
    host,
    addresses: [host],
    webhooks: {
      at: { url: `https://${host}:${ports.webhooks}` },
      injection: { discoveryAddress: `${host}:${ports.tls}`, noProxy: [host] },
    },
  });
  process.send?.({ kind: "ready" });
}
