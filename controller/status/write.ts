import type { Check } from "../../analysis/checks/types.ts";
import type { Judgement, TestEvidence } from "../../analysis/judge/types.ts";
import type {
  AnalysisTestStatus,
  CanaryHistory,
  CanaryRun,
  CanaryStatus,
} from "../../api/generated/canaries.ts";
import type { Notice } from "../decide/effects.ts";
import { liveRun, type RunState, type State } from "../decide/state.ts";
import type { Traffic } from "../decide/traffic.ts";
import { sameJson } from "../revision.ts";
import { buildConditions } from "./conditions.ts";

export interface StatusInput {
  readonly before: CanaryStatus | undefined;
  /** The state that `before` holds. */
  readonly last: State;
  readonly next: State;
  /** What the route is to carry in `next`. */
  readonly wanted?: Traffic;
  readonly notice: Notice | undefined;
  readonly targetKind: string;
  readonly generation: number;
  /** Transitions of the lease under which it is written. */
  readonly epoch: number;
  /** The judge's answer of this tick. */
  readonly judgement: Judgement | undefined;
  readonly now: number;
}

const longestHistory = 20;

/**
 * The status that holds a state: Flagger's fields, and fairlead's beside them.
 *
 * @returns undefined where it would say what `before` says, so that nothing need be written
 */
export function buildStatus(input: StatusInput): CanaryStatus | undefined {
  const { before, next, judgement, now } = input;
  const live = liveRun(next);
  const run = live?.run ?? ("closed" in next ? next.closed : undefined);
  const history = buildHistory(input);
  const status: CanaryStatus = {
    ...cookies(input),
    phase: next.phase,
    observedGeneration: input.generation,
    canaryWeight: live?.canaryWeight ?? 0,
    failedChecks: "failedChecks" in next ? next.failedChecks : 0,
    iterations: live?.iterations ?? 0,
    ...(next.applied !== undefined && { lastAppliedSpec: next.applied }),
    ...(next.promoted !== undefined && { lastPromotedSpec: next.promoted }),
    ...(next.fence !== undefined && { lastTrackedRevision: next.fence }),
    ...(next.provider !== undefined && { provider: next.provider }),
    trackedConfigs: next.trackedConfigs,
    conditions: buildConditions(before?.conditions ?? [], { ...input, state: next }),
    ...(next.failure && { failure: { ...next.failure, at: iso(next.failure.at) } }),
    ...(run && { run: writeRun(run, input.epoch) }),
    ...("cleanup" in next && next.cleanup.length > 0 && { cleanup: next.cleanup }),
    ...(next.rescues && { shield: next.rescues }),
    ...(next.checks.length > 0 && { checks: writeChecks(next.checks) }),
    ...(live && (judgement ?? before?.analysis) && { analysis: writeAnalysis(judgement, before?.analysis) }),
    ...(live?.run.judge !== undefined && { judge: live.run.judge }),
    ...(history.length > 0 && { history }),
  };
  if (before !== undefined && sameJson(comparable(before), comparable(status))) return undefined;
  return { ...status, lastTransitionTime: iso(now).replace(/\.\d+Z$/, "Z") };
}

/** Who writes it changes with each leader, and when: neither is news by itself. */
function comparable({ lastTransitionTime: _time, run, ...status }: CanaryStatus) {
  const { epoch: _epoch, ...rest } = run ?? {};
  return { ...status, run: rest };
}

/** The cookies that are given out, and the last run's, in Flagger's fields. */
function cookies({ next, wanted }: StatusInput): CanaryStatus {
  const { canary, primary } = wanted?.affinity ?? {};
  return {
    ...(canary && { sessionAffinityCookie: canary }),
    ...(primary && { primarySessionAffinityCookie: primary }),
    ...(next.previousCookie && { previousSessionAffinityCookie: next.previousCookie }),
  };
}

function writeRun(run: RunState, epoch: number): CanaryRun {
  return {
    id: run.id,
    revision: run.revision,
    startedAt: iso(run.startedAt),
    preRolloutPassed: run.preRolloutPassed,
    ...(run.knownGood && { knownGood: true }),
    ...(run.primaryReplicas !== undefined && { primaryReplicas: run.primaryReplicas }),
    ...(run.paused && { paused: true }),
    ...(run.steppedAt !== undefined && { steppedAt: iso(run.steppedAt) }),
    ...(run.tickedAt !== undefined && { tickedAt: iso(run.tickedAt) }),
    ...(run.heldSince !== undefined && { heldSince: iso(run.heldSince) }),
    ...(run.waitingFor !== undefined && { waitingFor: run.waitingFor }),
    ...(run.primaryRevision !== undefined && { primaryRevision: run.primaryRevision }),
    epoch,
  };
}

/** A list by name: of two checks with one name the last is shown. */
function writeChecks(checks: readonly Check[]): NonNullable<CanaryStatus["checks"]> {
  const byName = new Map(checks.map((check) => [check.name, check]));
  return [...byName.values()].map(({ name, kind, value, samples, threshold, reason, query }) => ({
    name,
    result: kind,
    ...(value !== undefined && Number.isFinite(value) && { value }),
    ...(samples !== undefined && { samples }),
    ...(threshold !== "" && { limit: threshold }),
    message: reason,
    ...(query !== undefined && { query }),
  }));
}

function writeAnalysis(
  judgement: Judgement | undefined,
  before: CanaryStatus["analysis"],
): NonNullable<CanaryStatus["analysis"]> {
  if (judgement === undefined) return before ?? {};
  const worst = judgement.tests.find(
    ({ name, metric }) => metric === judgement.worst || name === judgement.worst,
  );
  const numbers = {
    harm: judgement.harm,
    rollbackAt: judgement.rollbackAt,
    safe: judgement.safe,
    promoteAt: judgement.promoteAt,
  };
  return {
    ...Object.fromEntries(
      Object.entries(numbers)
        .filter(([, value]) => Number.isFinite(value))
        .map(([name, value]) => [name, Number(value.toFixed(3))]),
    ),
    worst: judgement.worst,
    reason: judgement.reason,
    tests: judgement.tests.map(writeTest),
    ...(worst?.canary !== undefined && { canary: `${(worst.canary * 100).toFixed(2)} %` }),
    ...(worst?.primary !== undefined && { primary: `${(worst.primary * 100).toFixed(2)} %` }),
  };
}

function writeTest(test: TestEvidence): AnalysisTestStatus {
  return {
    name: test.name,
    metric: test.metric,
    harm: Number(test.harm.toFixed(3)),
    ...(test.safe !== undefined && { safe: Number(test.safe.toFixed(3)) }),
    ...(test.canary !== undefined && { canary: `${(test.canary * 100).toFixed(2)} %` }),
    ...(test.primary !== undefined && { primary: `${(test.primary * 100).toFixed(2)} %` }),
    samples: test.canaryRequests,
    dispersion: Number(test.dispersion.toFixed(2)),
  };
}

/** A run that was live and is not any more becomes the newest entry. */
function buildHistory({ before, last, next, now }: StatusInput): readonly CanaryHistory[] {
  const history = before?.history ?? [];
  const was = liveRun(last);
  if (was === undefined || liveRun(next)?.run.id === was.run.id) return history;
  const outcome = outcomeOf(was.run, next);
  const entry: CanaryHistory = {
    run: was.run.id,
    revision: was.run.revision,
    outcome,
    startedAt: iso(was.run.startedAt),
    endedAt: iso(now),
    // A promoted revision has all traffic in the end.
    weight: outcome === "promoted" ? 100 : was.canaryWeight,
    ...(next.phase === "Failed" && next.failure && { message: next.failure.message }),
  };
  return [entry, ...history].slice(0, longestHistory);
}

function outcomeOf({ revision }: RunState, next: State): CanaryHistory["outcome"] {
  if (next.phase === "Failed") return next.failure?.reason === "Aborted" ? "aborted" : "rolled-back";
  if (next.phase === "Succeeded") return next.promoted === revision ? "promoted" : "aborted";
  return "restarted";
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
