/** The controller of the bench as a process of its own, so that its processor time and memory are its own. */
import { createAnalyst } from "../../analysis/watch.ts";
import { trimHeap } from "../../cli/up/trim-heap.ts";
import { type Controller, startController } from "../../controller/start.ts";
import { createClient } from "../../kube/client.ts";
import type { Client, Connection } from "../../kube/contract.ts";
import { createRecorder } from "../../kube/events.ts";
import { createInformers } from "../../kube/informer.ts";
import { startLease } from "../../kube/lease.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { createLogger } from "../../lib/log.ts";
import { createHooks } from "../../webhooks/hooks/call.ts";
import { createSteadySignals } from "./steady-signals.ts";

export type ToController =
  | { readonly kind: "start"; readonly connection: Connection }
  | { readonly kind: "break"; readonly namespace: string; readonly name: string }
  | { readonly kind: "usage" };

/** What the process has used so far. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssMb: number;
  /** GET and LIST requests, watches not counted. */
  readonly reads: number;
}

const signals = createSteadySignals();
let reads = 0;

process.once("disconnect", () => process.exit(0));
process.on("message", (message: ToController) => {
  switch (message.kind) {
    case "start":
      start(message.connection).then(
        () => process.send?.({ ready: true }),
        (error: unknown) => {
          process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
          process.exit(1);
        },
      );
      return;
    case "break":
      signals.breakCanary(message.namespace, message.name);
      return;
    case "usage":
      process.send?.(usage());
  }
});

async function start(connection: Connection): Promise<void> {
  const clock = systemClock;
  const logger = createLogger(process.env.BENCH_LOG ?? "error");
  const guard = createAddressGuard({ loopback: true });
  const client = countReads(createClient(connection));
  let controller: Controller | undefined;
  const lease = startLease(client, {
    namespace: "istio-system",
    name: "fairlead-controller-0",
    holder: "bench",
    logger,
    onChange: (held) => held && controller?.resync(),
  });
  controller = await startController({
    client,
    informers: createInformers(client, logger),
    recorder: createRecorder(client, logger),
    signals,
    analyst: createAnalyst({ signals, clock, logger }),
    hooks: createHooks({ clock, guard, alerts: { send: () => {} } }),
    acknowledged: () => ({ held: 1, of: 1 }),
    // As in the program.
    onQuiet: trimHeap,
    lease,
    logger,
  });
}

function countReads(client: Client): Client {
  return {
    ...client,
    get: (kind, namespace, name) => {
      reads++;
      return client.get(kind, namespace, name);
    },
    list: (kind, options) => {
      reads++;
      return client.list(kind, options);
    },
  };
}

function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 1e6, reads };
}
