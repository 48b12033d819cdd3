/** What one poll of the judge costs, and whether it still agrees with its reference. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { observe } from "../../analysis/judge/observe.ts";
import { sequentialJudge } from "../../analysis/judge/settings.ts";
import { createState, setWeight } from "../../analysis/judge/state.ts";
import type { Counters, Counts } from "../../analysis/judge/types.ts";
import type { RuleName } from "../../analysis/replay/create-rule.ts";
import { type ReplayResult, replay } from "../../analysis/replay/replay.ts";
import { readTrace } from "../../analysis/replay/trace.ts";
import { createRandom } from "../../analysis/simulate/random.ts";
import { healthyWorlds } from "../../analysis/simulate/scenarios.ts";
import { World } from "../../analysis/simulate/world.ts";
import { bucketBounds } from "../../api/signals.ts";
import { steps } from "./rules.ts";

/** Polls that are timed, and those before, in which the engine compiles. */
const timed = 60_000;
const warm = 20_000;

/** CPU microseconds of one poll with all of Envoy's buckets and the four tests of `sequential`. */
export function microsecondsPerPoll(): number {
  const settings = sequentialJudge({
    bounds: bucketBounds,
    interval: 60_000,
    steps,
    minSuccess: 99,
    maxDuration: 500,
  });
  const polls = samplePolls(600);
  let state = setWeight(createState(settings), 5, 0);
  let counters = zero();
  let started = process.cpuUsage();
  let now = 0;
  for (let poll = 0; poll < warm + timed; poll++) {
    if (poll === warm) started = process.cpuUsage();
    if (poll % 600 === 0) {
      state = setWeight(createState(settings), 5, now);
      counters = zero();
    }
    const more = polls[poll % polls.length];
    if (more !== undefined) counters = plus(counters, more);
    now += 1000;
    ({ state } = observe(state, counters, now, settings));
  }
  const { user, system } = process.cpuUsage(started);
  return (user + system) / timed;
}

function samplePolls(count: number): Counters[] {
  const [scenario] = healthyWorlds;
  if (scenario === undefined) return [];
  const world = new World(scenario, createRandom(1, "speed"), bucketBounds);
  return Array.from({ length: count }, (_, t) => {
    const { canary, primary } = world.second(t, 5);
    return { canary, primary: sum(...primary), halves: primary, latencyKnown: true };
  });
}

function zero(): Counters {
  const nothing: Counts = { requests: 0, failed: 0, buckets: [...bucketBounds, 0].map(() => 0) };
  return { canary: nothing, primary: nothing, halves: [nothing, nothing], latencyKnown: true };
}

function plus(a: Counters, b: Counters): Counters {
  const [first, second] = a.halves ?? [a.primary, a.primary];
  const [more, andMore] = b.halves ?? [b.primary, b.primary];
  return {
    canary: sum(a.canary, b.canary),
    primary: sum(a.primary, b.primary),
    halves: [sum(first, more), sum(second, andMore)],
    latencyKnown: true,
  };
}

function sum(a: Counts, b: Counts): Counts {
  return {
    requests: a.requests + b.requests,
    failed: a.failed + b.failed,
    buckets: a.buckets.map((count, bucket) => count + (b.buckets[bucket] ?? 0)),
  };
}

const testdata = new URL("../../analysis/replay/testdata/", import.meta.url);

/** Replays the reference's recorded traces: how many of its verdicts come out the same, to the second and to 1e-6. */
export function agreement(): { readonly agreed: number; readonly of: number } {
  const expected = JSON.parse(readFileSync(new URL("expected.json", testdata), "utf8")) as Record<
    string,
    Record<RuleName, ReplayResult>
  >;
  let agreed = 0;
  let of = 0;
  for (const [name, verdicts] of Object.entries(expected)) {
    const trace = readTrace(
      gunzipSync(readFileSync(new URL(`${name}.ndjson.gz`, testdata))).toString("utf8"),
    );
    for (const [rule, wanted] of Object.entries(verdicts)) {
      of += 1;
      if (same(replay(trace, rule as RuleName), wanted)) agreed += 1;
    }
  }
  return { agreed, of };
}

function same(found: ReplayResult, wanted: ReplayResult): boolean {
  const near =
    wanted.logE === null ? found.logE === null : Math.abs((found.logE ?? Number.NaN) - wanted.logE) < 1e-6;
  return (
    near &&
    found.verdict === wanted.verdict &&
    found.t === wanted.t &&
    JSON.stringify(found.weights) === JSON.stringify(wanted.weights)
  );
}
