/** Runs the controller's pure middle and its writes against a world in memory, without time passing. */
import type { Harm } from "../../analysis/analyst.ts";
import type { Check } from "../../analysis/checks/types.ts";
import { advanceSettings } from "../../analysis/settings.ts";
import { readCanary } from "../../api/canary/read.ts";
import type { Deployment } from "../../api/core.ts";
import type { HookAnswer } from "../../api/hooks.ts";
import { createRegistry } from "../../lib/metrics.ts";
import { type ApplyOptions, applyDecision, finalizerWrite } from "../apply.ts";
import { createWriter } from "../carry-out.ts";
import { decide } from "../decide/decide.ts";
import type { Ask, Decision } from "../decide/effects.ts";
import type { Measurement } from "../decide/observation.ts";
import type { State } from "../decide/state.ts";
import { wantedTraffic } from "../decide/traffic.ts";
import { decisionSpec } from "../decision-spec.ts";
import { createControllerMetrics } from "../metrics.ts";
import { observe } from "../observe.ts";
import { createOverlay, type Overlay } from "../overlay.ts";
import { createRunQueue } from "../queue.ts";
import { chooseRouter } from "../routers/choose.ts";
import { defaultSettings } from "../settings.ts";
import { readState } from "../status/read.ts";
import { readSubject } from "../subject.ts";
import { Killed, type World } from "./world.ts";

/** What the world around the controller does at each turn. */
export interface Script {
  /** How the checks of a tick end. */
  readonly check: (state: State, turn: number) => Check["kind"];
  readonly hook?: (name: string, turn: number) => HookAnswer["kind"];
  /** The guard's verdict. */
  readonly harm?: (state: State, turn: number) => Harm | undefined;
  readonly isReady?: (deployment: Deployment, turn: number) => boolean;
  /** Of labels and annotations that go over to generated objects; none where absent. */
  readonly labelPrefixes?: readonly string[];
  /** What somebody else does before the turn. */
  readonly meanwhile?: (world: World, state: State, turn: number) => void;
}

/** A world in which every check passes. */
export const passing: Script = { check: () => "passed" };

/** Whether a run is over, and all that it leaves behind is cleared away. */
export function ended(state: State): boolean {
  return (state.phase === "Succeeded" || state.phase === "Failed") && state.cleanup.length === 0;
}

/** Whether a run stands at a weight of the canary. */
export function weightIs(weight: number): (state: State) => boolean {
  return (state) => "canaryWeight" in state && state.canaryWeight === weight;
}

export interface Simulation {
  /** One look at the canary. A kill is survived: what was in memory is lost. */
  turn(): Promise<State>;
  /** Until `isEnd` or no turn is left. */
  run(isEnd: (state: State) => boolean, turns?: number): Promise<State>;
  readonly decisions: readonly Decision[];
  kills: number;
}

export function simulate(world: World, script: Script): Simulation {
  let now = Date.parse("2026-01-01T00:00:00Z");
  let turns = 0;
  const settings = { ...defaultSettings, includeLabelPrefixes: script.labelPrefixes ?? [] };
  let measurement: Measurement | undefined;
  let options = freshProcess();
  const decisions: Decision[] = [];

  function freshProcess(): ApplyOptions & { readonly overlay: Overlay } {
    const overlay = createOverlay({ monotonic: () => now });
    const writer = createWriter(world.client, overlay);
    return {
      client: world.client,
      overlay,
      writer,
      recorder: { event: () => {} },
      hooks: { alert: () => {} },
      eventHooks: { tell: () => {} },
      lease: { held: () => true, epoch: () => 1 },
      rollbacks: {
        async rollBack({ canary, router, snapshot }, mark) {
          const write = router.rollBack(canary, mark, snapshot);
          if (write !== undefined) await writer.write(write);
        },
        close: () => {},
      },
      metrics: createControllerMetrics(createRegistry()),
      clock: { now: () => now, monotonic: () => now, after: () => () => {} },
    };
  }

  async function turn(): Promise<State> {
    turns++;
    now += 1000;
    world.settle((deployment) => script.isReady?.(deployment, turns) ?? true);
    const before = readState(world.canary().status);
    script.meanwhile?.(world, before, turns);
    world.settle((deployment) => script.isReady?.(deployment, turns) ?? true);
    const snapshot = options.overlay.view(world.snapshot());
    const { value: canary, problems } = readCanary(world.canary());
    if (canary === undefined) throw new Error(JSON.stringify(problems));
    const router = chooseRouter(canary);
    const subject = readSubject(canary, snapshot, router, settings);
    const state = readState(canary.object.status);
    const spec = decisionSpec(canary, advanceSettings(canary.analysis));
    const wanted = wantedTraffic(state, spec);
    const harm = script.harm?.(state, turns);
    const queued = createRunQueue(undefined).obstacle("default/shop", canary, snapshot);
    const observation = observe(subject, state, wanted, {
      now,
      route: router.observe(canary, wanted, snapshot),
      freshRun: `run${turns}`,
      formerIsListed: true,
      drainsIn: 0,
      isOwn: (write) => options.writer.isOwn(write),
      ...(measurement && { measurement }),
      ...(harm && { harm }),
      ...(queued !== undefined && { queued }),
    });
    const decision = decide(state, observation, spec);
    decisions.push(decision);
    measurement = undefined;
    try {
      const finalizer = finalizerWrite(subject, true);
      const { deletionTimestamp } = canary.object.metadata;
      if (canary.revertOnDeletion && finalizer && deletionTimestamp === undefined) {
        await options.writer.write(finalizer);
        return state;
      }
      await applyDecision({ subject, last: state, decision, spec }, options);
      measurement = decision.ask && answer(decision.ask, state, turns, script);
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      simulation.kills++;
      options = freshProcess();
    }
    return readState(world.canary().status);
  }

  const simulation: Simulation = {
    decisions,
    kills: 0,
    turn,
    async run(isEnd, limit = 200) {
      let state = readState(world.canary().status);
      for (let index = 0; index < limit; index++) {
        state = await turn();
        if (isEnd(state)) return state;
      }
      throw new Error(`no end in ${limit} turns: ${JSON.stringify(world.canary().status)}`);
    },
  };
  return simulation;
}

function answer(ask: Ask, state: State, turn: number, script: Script): Measurement {
  const hooks = [...ask.hooks, ...ask.gates].map(({ name, type, muteAlert }) => ({
    name,
    type,
    muteAlert,
    answer: { kind: script.hook?.(name, turn) ?? "passed", text: "" },
  }));
  const kind = script.check(state, turn);
  const check: Check = {
    name: "check",
    kind,
    threshold: "",
    reason: `check ${kind}`,
    ...(kind === "inconclusive" && { cause: "no-data" as const }),
  };
  return { about: ask.about, hooks, checks: ask.checks ? [check] : [] };
}
