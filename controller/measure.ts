import type { RunAnalysis } from "../analysis/analyst.ts";
import type { Check } from "../analysis/checks/types.ts";
import type { CanaryRef, HookAnswer, Hooks, RunId } from "../api/hooks.ts";
import type { Clock } from "../lib/clock.ts";
import type { Ask } from "./decide/effects.ts";
import type { HookOutcome, Measurement } from "./decide/observation.ts";
import type { SpecHook } from "./decide/spec.ts";
import { checksumOf } from "./revision.ts";

export interface MeasureOptions {
  readonly hooks: Pick<Hooks, "call">;
  readonly clock: Clock;
  readonly canary: CanaryRef;
  /** Of the run under way, where there is one. */
  readonly analysis: RunAnalysis | undefined;
  readonly signal: AbortSignal;
}

/** Attempts of a hook wait longer each time, up to this. */
const longestBackoff = 30_000;

/**
 * Asks what a tick asks: hooks one after the other, then the metrics, and the gates only where all that has passed.
 *
 * It may take as long as the hooks' timeouts allow; nothing waits for it but the next step. Never rejects.
 */
export async function measure(ask: Ask, options: MeasureOptions): Promise<Measurement> {
  const { analysis, clock } = options;
  const hooks = await callInOrder(ask.hooks, ask, options);
  const checks: readonly Check[] =
    ask.checks && analysis !== undefined ? await analysis.checks(clock.now()) : [];
  const passed =
    hooks.every(({ type, answer }) => type === "rollback" || answer.kind === "passed") &&
    checks.every(({ kind }) => kind === "passed");
  const gates = passed ? await callInOrder(ask.gates, ask, options) : [];
  const judgement = analysis?.judgement();
  const judge = analysis?.stored();
  return {
    about: ask.about,
    hooks: [...hooks, ...gates],
    checks,
    ...(judgement && { judgement }),
    ...(judge !== undefined && { judge }),
  };
}

/** The first that fails ends the list; a rollback hook fails when it has nothing to say. */
async function callInOrder(
  hooks: readonly SpecHook[],
  ask: Ask,
  options: MeasureOptions,
): Promise<readonly HookOutcome[]> {
  const outcomes: HookOutcome[] = [];
  for (const hook of hooks) {
    const answer = await callHook(hook, ask, options);
    outcomes.push({ name: hook.name, type: hook.type, muteAlert: hook.muteAlert, answer });
    // A rollback hook that passes ends the run: nobody else is asked.
    if ((answer.kind === "passed") === (hook.type === "rollback")) break;
  }
  return outcomes;
}

/** One call with the deadline of all its attempts: an implementation that hangs does not hang the canary. */
async function callHook(hook: SpecHook, ask: Ask, options: MeasureOptions): Promise<HookAnswer> {
  const { hooks, clock, canary, signal } = options;
  const run: RunId = { canary, run: ask.run, revision: ask.revision, checksum: checksumOf(ask.revision) };
  const { weight = 0, tickedAt = 0 } = ask.about;
  const id = [ask.run, hook.type, hook.name, weight, tickedAt].join("/");
  const phase =
    hook.type === "confirm-rollout" || hook.type === "rollback" || hook.type === "post-rollout"
      ? ask.phase
      : "Progressing";
  const limit = hook.timeout * (hook.retries + 1) + longestBackoff * hook.retries + 1000;
  const deadline = new AbortController();
  const late = new Promise<HookAnswer>((resolve) => {
    const cancel = clock.after(limit, () => {
      deadline.abort();
      resolve({ kind: "inconclusive", text: `no answer in ${limit} ms` });
    });
    signal.addEventListener("abort", () => {
      cancel();
      deadline.abort();
      resolve({ kind: "inconclusive", text: "no longer asked" });
    });
    deadline.signal.addEventListener("abort", cancel);
  });
  try {
    return await Promise.race([hooks.call(hook, phase, run, id, deadline.signal), late]);
  } catch (error) {
    return { kind: "inconclusive", text: error instanceof Error ? error.message : String(error) };
  } finally {
    deadline.abort();
  }
}
