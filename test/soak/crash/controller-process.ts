/** One controller as a process of its own, to be killed: started by {@link startControllerProcess} with its task as IPC message. */
import { flushCompileCache } from "node:module";
import { createAnalyst } from "../../../analysis/watch.ts";
import { type Canary, CanaryKind } from "../../../api/kinds.ts";
import type { KubeObject } from "../../../api/resource.ts";
import { startController } from "../../../controller/start.ts";
import { createScriptedSignals } from "../../../controller/testing/signals.ts";
import { createClient } from "../../../kube/client.ts";
import type { Client, Connection } from "../../../kube/contract.ts";
import { createRecorder } from "../../../kube/events.ts";
import { createInformers } from "../../../kube/informer.ts";
import { startLease } from "../../../kube/lease.ts";
import { createAddressGuard } from "../../../lib/address-guard.ts";
import { systemClock } from "../../../lib/clock.ts";
import { createLogger, silent } from "../../../lib/log.ts";
import { createHooks } from "../../../webhooks/hooks/call.ts";
import { type KillPoint, killingClient } from "./killing-client.ts";
import { scenarios, target } from "./scenarios.ts";

/** What one process is to do. */
export interface ControllerTask {
  readonly connection: Connection;
  readonly namespace: string;
  readonly holder: string;
  readonly kill?: KillPoint;
  /** Name of the scenario: what the proxies see follows from the Canary. */
  readonly scenario: string;
}

export type ToParent =
  | { readonly kind: "ready" }
  | { readonly kind: "write"; readonly number: number; readonly what: string };

process.once("message", (task: ControllerTask) => {
  start(task).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  });
});

async function start({ connection, namespace, holder, kill, scenario }: ControllerTask): Promise<void> {
  const clock = systemClock;
  const logger = process.env.SOAK_LOG ? createLogger("debug") : silent;
  const client = createClient(connection);
  const informers = createInformers(client, logger);
  const signals = createScriptedSignals();
  const script = scenarios.find(({ name }) => name === scenario)?.signals;
  /** As this process wrote it last: on a busy machine its watch is seconds behind, and proxies are not. */
  let written: Canary | undefined;
  const noting: Client = {
    ...client,
    async replace(kind, object, subresource) {
      const stored = await client.replace(kind, object, subresource);
      if (isCanary(stored)) written = stored;
      return stored;
    },
  };
  const now = () => script?.(written ?? informers.snapshot().get(CanaryKind, namespace, target));
  Object.defineProperties(signals, {
    failing: { get: () => now()?.failing ?? 0 },
    outage: { get: () => now()?.outage ?? false },
  });
  const analyst = createAnalyst({ signals, clock, logger });
  const tell = (message: ToParent): void => void process.send?.(message);
  const lease = startLease(client, {
    namespace,
    name: "fairlead-controller-0",
    holder,
    logger,
    onChange: (held) => held && controller?.resync(),
  });
  let controller: Awaited<ReturnType<typeof startController>> | undefined;
  controller = await startController({
    client: killingClient(noting, kill, (number, what) => tell({ kind: "write", number, what })).client,
    informers,
    recorder: createRecorder(client, logger),
    signals,
    analyst,
    hooks: createHooks({ clock, guard: createAddressGuard({ loopback: true }), alerts: { send: () => {} } }),
    acknowledged: () => ({ held: 1, of: 1 }),
    lease,
    logger,
    settings: { namespace },
  });
  tell({ kind: "ready" });
  // At its end it would be too late: it is killed.
  flushCompileCache();
}

function isCanary(object: KubeObject): object is Canary {
  return object.kind === CanaryKind.kind;
}
