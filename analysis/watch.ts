import { bucketBounds, type Run, type Signal, type Signals } from "../api/signals.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Percent } from "../lib/units.ts";
import type { Analyst, Harm, RunAnalysis, RunSettings } from "./analyst.ts";
import { measure } from "./checks/measure.ts";
import { measurePair } from "./checks/measure-pair.ts";
import type { Ended, RecordHead } from "./record/format.ts";
import type { Recording, RecordStore } from "./record/recording.ts";
import { createRunJudge, type RunJudge } from "./run-judge.ts";
import type { Rescues } from "./series/ledger.ts";

/** How often the judge polls unless it is told otherwise, and the longest pause before a broken stream is watched again. */
const pollEvery = 1000;
const longestPause = 2000;
/** How often metric providers are asked for both arms: Prometheus' usual scrape interval. */
const askEvery = 15_000;
/** The primary's past that dispersion and latency tails are learnt from, seconds; and how long it is waited for. */
const pastSeconds = 300;
const historyTimeout = 3000;
/** How long a shield's counts are still taken after the run: proxies report each second. */
const lingering = 3000;

export interface AnalystOptions {
  readonly signals: Signals;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where runs are recorded; not at all where absent. */
  readonly records?: RecordStore | undefined;
}

/** Watches runs through `signals` and judges them, each second and at each attempt. The I/O edge of this room. */
export function createAnalyst({ signals, clock, logger, records }: AnalystOptions): Analyst {
  const runs = new Set<Running>();
  return {
    start(run, settings, stored) {
      const running = startRun(
        { signals, clock, logger: logger.child({ run: run.run }), records },
        run,
        settings,
        stored,
        () => runs.delete(running),
      );
      runs.add(running);
      return running.analysis;
    },
    async close() {
      for (const { analysis, end } of runs) {
        analysis.close();
        end();
      }
      await records?.close();
    },
  };
}

/** Signals tell the wall clock's time. Where that was set since the run began, they are brought to the run's. */
function inRunTime(signal: Signal, ahead: number): Signal {
  if (ahead === 0) return signal;
  switch (signal.kind) {
    case "window":
    case "attempt":
      return { ...signal, at: signal.at + ahead };
    case "gap":
      return { ...signal, from: signal.from + ahead, to: signal.to + ahead };
    case "cut":
      return signal;
  }
}

function startRun(
  { signals, clock, logger, records }: AnalystOptions,
  run: Run,
  settings: RunSettings,
  stored: string | undefined,
  forget: () => void,
): Running {
  const stop = new AbortController();
  /** Ends later than the judging: see {@link lingering}. */
  const watching = new AbortController();
  const harmHandlers = new Set<(harm: Harm) => void>();
  const judgementHandlers = new Set<Parameters<RunAnalysis["onJudgement"]>[0]>();
  const rescueHandlers = new Set<(rescues: Rescues, last: boolean) => void>();
  // Wall clocks jump; a run's time must not.
  const epoch = clock.now() - clock.monotonic();
  const now = (): number => epoch + clock.monotonic();
  /** How far the run's time is ahead of the wall clock, which may have been set. */
  const ahead = (): number => {
    const difference = now() - clock.now();
    return Math.abs(difference) < pollEvery ? 0 : difference;
  };
  const recording = records && record(records, run, settings, now(), stored);
  const judge: RunJudge = createRunJudge(settings, now(), bucketBounds, stored, recording?.recorder);
  let harm: Harm | undefined;
  let told = judge.rescues();
  let outcome: { readonly ended: Ended; readonly at: number } | undefined;
  let cancelEnd = (): void => {};
  let cancelPoll = (): void => {};
  let cancelAsk = (): void => {};
  const pauses = new Set<() => void>();

  const call = <T>(handler: (value: T) => void, value: T): void => {
    try {
      handler(value);
    } catch (error) {
      logger.error({ err: error }, "a handler of an analysis threw");
    }
  };
  const raise = (found: Harm | undefined): void => {
    if (found === undefined || harm !== undefined || stop.signal.aborted) return;
    harm = found;
    recording?.recorder.harm(found);
    for (const handler of harmHandlers) call(handler, found);
  };
  const tellRescues = (last: boolean): void => {
    const rescues = judge.rescues();
    if (rescues === undefined || (rescues === told && !last)) return;
    told = rescues;
    for (const handler of rescueHandlers) call(() => handler(rescues, last), undefined);
  };
  const take = (signal: Signal): void => {
    try {
      raise(judge.take(inRunTime(signal, ahead())));
    } catch (error) {
      logger.error({ err: error }, "a signal could not be read");
    }
  };
  const poll = (): void => {
    if (stop.signal.aborted) return;
    try {
      raise(judge.poll(now()));
      tellRescues(false);
      const judgement = judge.judgement();
      if (judgement !== undefined) for (const handler of judgementHandlers) call(handler, judgement);
    } catch (error) {
      logger.error({ err: error }, "a poll of the judge failed");
    }
    cancelPoll = clock.after(settings.poll ?? pollEvery, poll);
  };

  /** Asks providers for both arms, one round after the other. */
  const askPairs = async (): Promise<void> => {
    await Promise.all(
      (settings.pairs ?? []).map(async (pair) => {
        const reading = await measurePair(pair, stop.signal);
        if (reading !== undefined && !stop.signal.aborted) judge.read(pair, reading);
      }),
    );
    if (!stop.signal.aborted) cancelAsk = clock.after(askEvery, () => void askPairs());
  };

  void watchSignals();
  if (settings.pairs !== undefined) void askPairs();
  void learnPast().finally(poll);

  /** Watches until closed; a stream that ends or breaks is watched again. */
  async function watchSignals(): Promise<void> {
    let pause = 50;
    const { signal: done } = watching;
    while (!done.aborted) {
      try {
        for await (const signal of signals.watch(run, done)) {
          pause = 50;
          take(signal);
          if (done.aborted) return;
        }
      } catch (error) {
        if (!done.aborted) logger.warn({ err: error }, "signals broke off, watching again");
      }
      if (done.aborted) return;
      await paused(pause);
      pause = Math.min(pause * 2, longestPause);
    }
  }

  function paused(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        pauses.delete(end);
        resolve();
      };
      const cancel = clock.after(delay, end);
      pauses.add(end);
    });
  }

  async function learnPast(): Promise<void> {
    try {
      const windows = await Promise.race([signals.history(run, pastSeconds), paused(historyTimeout)]);
      if (windows !== undefined) judge.learn(windows);
    } catch (error) {
      logger.warn(
        { err: error },
        "no history of the primary: dispersion and latency tails are learnt from now on",
      );
    }
  }

  /** The last of it: nothing is watched any more. */
  function end(): void {
    if (watching.signal.aborted) return;
    cancelEnd();
    tellRescues(true);
    const rescues = judge.rescues();
    if (outcome) recording?.end({ ...outcome.ended, ...(rescues && { rescues }) }, outcome.at);
    watching.abort();
    for (const endPause of pauses) endPause();
    rescueHandlers.clear();
    forget();
  }

  const analysis: RunAnalysis = {
    run,
    settings,
    setWeight(weight: Percent, at: number) {
      judge.setWeight(weight, Math.min(at + ahead(), now()));
    },
    judgement: () => judge.judgement(),
    onHarm(handler) {
      harmHandlers.add(handler);
      const fallen = harm;
      if (fallen !== undefined) queueMicrotask(() => harmHandlers.has(handler) && call(handler, fallen));
      return () => harmHandlers.delete(handler);
    },
    onJudgement(handler) {
      judgementHandlers.add(handler);
      return () => judgementHandlers.delete(handler);
    },
    async checks(at) {
      const moment = at + ahead();
      const measured = await measure(settings.metrics, judge.recent, moment, stop.signal);
      const checks = [...measured, ...judge.ownChecks(moment)];
      if (!stop.signal.aborted) recording?.recorder.checks(checks, moment);
      return checks;
    },
    rescues: () => judge.rescues(),
    onRescues(handler) {
      rescueHandlers.add(handler);
      return () => rescueHandlers.delete(handler);
    },
    stored: () => judge.stored(),
    close(ended = { outcome: "open" }) {
      if (stop.signal.aborted) return;
      stop.abort();
      outcome = { ended, at: now() };
      cancelPoll();
      cancelAsk();
      harmHandlers.clear();
      judgementHandlers.clear();
      if (settings.shield === undefined) end();
      else cancelEnd = clock.after(lingering, end);
    },
  };
  return { analysis, end };
}

interface Running {
  readonly analysis: RunAnalysis;
  /** Ends what still goes on after it was closed. */
  readonly end: () => void;
}

/** Begins the record of a run; undefined where none is wanted. */
function record(
  records: RecordStore,
  { run, namespace, revision, canaryUid }: Run,
  { record, judge, advance }: RunSettings,
  now: number,
  stored: string | undefined,
): Recording | undefined {
  if (record === undefined || record.mode === "never") return undefined;
  const { canary, mode, base } = record;
  const head: RecordHead = {
    ...{ v: 1, kind: "run", run, namespace, canary, canaryUid, revision },
    at: Math.round(now),
    bounds: bucketBounds,
    base,
    judge: judge ?? null,
    advance,
  };
  return records.open(head, mode, stored);
}
