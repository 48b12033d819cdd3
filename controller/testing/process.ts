import { createAnalyst } from "../../analysis/watch.ts";
import type { HookAnswer, Hooks } from "../../api/hooks.ts";
import type { Client, Recorder } from "../../kube/contract.ts";
import type { WatchTiming } from "../../kube/reflector.ts";
import { systemClock } from "../../lib/clock.ts";
import { type Logger, silent } from "../../lib/log.ts";
import { createRegistry, type Registry } from "../../lib/metrics.ts";
import type { ControllerSettings } from "../settings.ts";
import { type Controller, startController } from "../start.ts";
import type { TestCluster } from "./cluster.ts";
import { createScriptedSignals, type ScriptedSignals } from "./signals.ts";

/** One controller process as tests start, stop and start it again. */
export interface TestController {
  readonly controller: Controller;
  readonly signals: ScriptedSignals;
  readonly registry: Registry;
  readonly events: { readonly reason: string; readonly message: string }[];
  /** As kill -9 would: nothing is finished. */
  kill(): void;
  close(): Promise<void>;
}

export interface TestControllerOptions {
  /** In place of the cluster's own, e.g. one whose writes fail; it is watched through, too. */
  readonly client?: Client;
  /** Of its watches. */
  readonly timing?: WatchTiming;
  readonly signals?: ScriptedSignals;
  readonly answer?: (hook: string) => HookAnswer;
  /** In place of `answer`: the real ones. */
  readonly hooks?: Hooks;
  readonly logger?: Logger;
  readonly settings?: Partial<ControllerSettings>;
  /** Beside the list of events. */
  readonly recorder?: Recorder;
}

export async function startTestController(
  cluster: TestCluster,
  options: TestControllerOptions = {},
): Promise<TestController> {
  const { client = cluster.controllerClient, signals = createScriptedSignals(), logger = silent } = options;
  const informers = cluster.informers(client, options.timing);
  const analyst = createAnalyst({ signals, clock: systemClock, logger });
  const events: { reason: string; message: string }[] = [];
  const recorder: Recorder = {
    event(object, type, reason, message) {
      events.push({ reason, message });
      options.recorder?.event(object, type, reason, message);
    },
  };
  const registry = createRegistry();
  let alive = true;
  const hooks: Hooks = options.hooks ?? {
    call: async ({ name }) => options.answer?.(name) ?? { kind: "passed", text: "" },
    async *gates() {},
    async *rollbacks() {},
    alert: () => {},
  };
  const controller = await startController({
    client,
    informers,
    recorder,
    signals,
    analyst,
    hooks,
    acknowledged: () => ({ held: 1, of: 1 }),
    lease: { held: () => alive, epoch: () => 1 },
    logger,
    registry,
    ...(options.settings && { settings: options.settings }),
  });
  return {
    controller,
    signals,
    registry,
    events,
    kill() {
      alive = false;
      void analyst.close();
      informers.close();
    },
    async close() {
      alive = false;
      await analyst.close();
      await controller.close();
      informers.close();
    },
  };
}
