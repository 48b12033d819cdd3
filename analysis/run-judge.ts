import type { Signal, Window } from "../api/signals.ts";
import type { Percent } from "../lib/units.ts";
import type { Harm, RunSettings } from "./analyst.ts";
import type { PairReading } from "./checks/measure-pair.ts";
import type { PairedMetric } from "./checks/pair.ts";
import { checkShield, shieldLooksBack } from "./checks/shield.ts";
import type { Check } from "./checks/types.ts";
import { observe } from "./judge/observe.ts";
import { type Attempts, addAttempts, noAttempts, settling, shortfall } from "./judge/shortfall.ts";
import { createState, setWeight } from "./judge/state.ts";
import { restoreState, storeState } from "./judge/stored.ts";
import { createTripWire } from "./judge/trip-wire.ts";
import type { Judgement, JudgeState } from "./judge/types.ts";
import type { Recorder } from "./record/recorder.ts";
import { createArms } from "./series/arms.ts";
import { createLedger, type Rescues, type StoredLedger } from "./series/ledger.ts";
import { createPairs } from "./series/pairs.ts";
import { createRecent, type Recent } from "./series/recent.ts";

/** Series whose counters are stored: with more, a restart begins them anew, so that the status stays small. */
const mostStored = 12;

/** All that is remembered of one run: book-keeping, trip wire and judge together. No clock and no I/O. */
export interface RunJudge {
  readonly recent: Recent;
  /** Takes one signal; a harm where the trip wire fires. */
  take(signal: Signal): Harm | undefined;
  /** Judges what came in until `now`; a harm where the evidence is enough. */
  poll(now: number): Harm | undefined;
  /** Learns from windows of before the run, oldest first. */
  learn(windows: readonly Window[]): void;
  setWeight(weight: Percent, at: number): void;
  /** Takes what a provider told of both arms, while the canary takes traffic. */
  read(pair: PairedMetric, reading: PairReading): void;
  /** Checks that no metric of the author's stands for: the comparison with the primary outside of the judge, and the shield's. */
  ownChecks(now: number): readonly Check[];
  /** Users of the canary's failed attempts so far; undefined without a shield. */
  rescues(): Rescues | undefined;
  judgement(): Judgement | undefined;
  stored(): string;
}

/** Begins at `now`, from what `stored()` gave before where it can be read. `bounds` are those of the windows' latencies. */
export function createRunJudge(
  settings: RunSettings,
  now: number,
  bounds: readonly number[],
  stored?: string,
  recorder?: Recorder,
): RunJudge {
  const memory = readStored(stored);
  const restored = settings.judge && restoreState(memory.judge, settings.judge, now);
  let state: JudgeState | undefined = restored ?? (settings.judge && createState(settings.judge));
  const ledger = createLedger(now, memory.ledger);
  const { shield } = settings;
  const longest = Math.max(
    ...settings.metrics.map(({ interval }) => interval),
    shield === undefined ? 0 : Math.max(shield.interval, shieldLooksBack),
  );
  const recent = createRecent(longest, bounds.length);
  const arms = createArms(bounds.length, shield !== undefined);
  const pairs = createPairs();
  const tripWire = settings.tripWire ? createTripWire() : undefined;
  let judgement: Judgement | undefined;
  let exposedAt: number | undefined = restored?.startedAt ?? memory.exposedAt;
  let weight = restored?.weight ?? 0;
  let enteredAt = restored?.enteredAt ?? now;
  let attempts: Attempts = noAttempts;
  let polled: Attempts = noAttempts;
  let rescues = memory.rescues;

  const add = (growth: ReturnType<typeof ledger.take>): void => {
    if (growth === undefined) return;
    recent.add(growth);
    arms.add(growth);
    if (growth.rescues !== undefined) rescues = sumOf(rescues, growth.rescues);
  };
  const count = ({ canary, primary }: ReturnType<typeof arms.poll>, at: number): void => {
    const before = polled;
    polled = { canary: canary.requests, primary: primary.requests };
    if (weight === 0 || at < enteredAt + settling) return;
    const more = { canary: polled.canary - before.canary, primary: polled.primary - before.primary };
    attempts = addAttempts(attempts, more, weight);
  };

  return {
    recent,
    take(signal) {
      switch (signal.kind) {
        case "window":
          add(ledger.take(signal));
          return undefined;
        case "gap":
          recent.gap(signal.from, signal.to);
          arms.gap();
          return undefined;
        case "attempt": {
          if (exposedAt === undefined) return undefined;
          const outage = tripWire?.take(signal, exposedAt);
          if (outage === undefined) return undefined;
          return {
            by: "trip-wire",
            ...outage,
            at: signal.at,
            ...(judgement === undefined ? {} : { judgement }),
          };
        }
        case "cut":
          return undefined;
      }
    },
    poll(at) {
      const counters = { ...arms.poll(), ...(settings.pairs && { series: pairs.drain() }) };
      if (shield?.byWeight) count(counters, at);
      if (settings.judge !== undefined && state !== undefined)
        ({ state, judgement } = observe(state, counters, at, settings.judge));
      recorder?.poll(counters, at, weight, judgement);
      if (judgement === undefined) return undefined;
      if (judgement.verdict !== "rollback" || weight === 0) return undefined;
      return { by: "harm", reason: judgement.reason, at, judgement };
    },
    learn(windows) {
      const past = createLedger(Number.NEGATIVE_INFINITY);
      const learnt = createArms(bounds.length, shield !== undefined);
      let second = Number.NEGATIVE_INFINITY;
      const teach = (until: number): void => {
        // A restored judge has learnt this already.
        if (restored !== undefined || state === undefined || settings.judge === undefined) return;
        if (Number.isFinite(second) && until > second && (second + 1) * 1000 <= (exposedAt ?? now)) {
          const counters = learnt.poll();
          ({ state } = observe(state, counters, (second + 1) * 1000, settings.judge));
          recorder?.past(counters, (second + 1) * 1000);
        }
      };
      for (const window of windows) {
        if (!(window.at <= now)) continue;
        const current = Math.floor(window.at / 1000);
        teach(current);
        second = Math.max(second, current);
        const growth = past.take(window);
        if (growth === undefined) continue;
        recent.add(growth);
        learnt.add(growth);
      }
      teach(Number.POSITIVE_INFINITY);
      // The live counters begin at 0 again.
      if (state !== undefined) state = withoutCounters(state);
    },
    setWeight(next, at) {
      if (next !== weight) {
        enteredAt = at;
        attempts = noAttempts;
      }
      weight = next;
      recorder?.weight(next, at);
      if (next > 0) exposedAt ??= at;
      if (state !== undefined) state = setWeight(state, next, at);
    },
    read(pair, reading) {
      if (weight > 0) pairs.take(pair, reading);
    },
    ownChecks(at) {
      const compared = pairs.checks(settings.pairs ?? []);
      if (shield === undefined || weight === 0) return compared;
      return [...compared, checkShield(recent, shield.interval, shortfall(attempts, weight), at)];
    },
    rescues: () => (shield === undefined ? undefined : rescues),
    judgement: () => judgement,
    stored: () =>
      JSON.stringify({
        ...(settings.judge === undefined || state === undefined
          ? {}
          : { judge: storeState(state, settings.judge) }),
        ...(exposedAt === undefined ? {} : { exposedAt }),
        ...(shield === undefined ? {} : { rescues: [rescues.rescued, rescues.notRescued] }),
        ledger: ledger.stored(mostStored),
      }),
  };
}

function withoutCounters(state: JudgeState): JudgeState {
  const { last: _, ...rest } = state;
  return rest;
}

interface Memory {
  readonly judge: unknown;
  readonly ledger: StoredLedger;
  readonly exposedAt: number | undefined;
  readonly rescues: Rescues;
}

function sumOf(a: Rescues, b: Rescues): Rescues {
  return { rescued: a.rescued + b.rescued, notRescued: a.notRescued + b.notRescued };
}

/** What `stored` holds; nothing where it is no such text. */
function readStored(stored: string | undefined): Memory {
  let value: unknown;
  try {
    value = stored === undefined ? undefined : JSON.parse(stored);
  } catch {
    value = undefined;
  }
  const { judge, ledger, exposedAt, rescues } = (
    typeof value === "object" && value !== null ? value : {}
  ) as Partial<Record<keyof Memory, unknown>>;
  const pairs = typeof ledger === "object" && ledger !== null ? Object.entries(ledger) : [];
  const isPair = (pair: unknown): pair is [number, number] =>
    Array.isArray(pair) && pair.length === 2 && pair.every((count) => Number.isFinite(count));
  return {
    judge,
    ledger: Object.fromEntries(
      pairs.filter((entry): entry is [string, [number, number]] => isPair(entry[1])),
    ),
    exposedAt: typeof exposedAt === "number" && Number.isFinite(exposedAt) ? exposedAt : undefined,
    rescues: isPair(rescues)
      ? { rescued: rescues[0], notRescued: rescues[1] }
      : { rescued: 0, notRescued: 0 },
  };
}
