import type { Clock } from "../../../lib/clock.ts";
import { everyProcess, type ProcessStat } from "../process/stat.ts";
import type { ContainerUsage, PodUsages } from "./usage.ts";

/** Clock ticks a second in `/proc/<pid>/stat`: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
export const pageBytes = 4096;

/** A container that runs: its processes are those of one session. */
export interface RunningContainer {
  readonly uid: string;
  readonly name: string;
  readonly session: number;
}

interface Sample {
  readonly at: number;
  readonly ticks: number;
}

/** How short a window may be; asked sooner, the meter answers as before. */
const shortestWindow = 500;

/** Measures containers by their processes' times in `/proc`, which it reads only when asked. */
export class UsageMeter {
  readonly #clock: Clock;
  readonly #containers: () => readonly RunningContainer[];
  #samples = new Map<number, Sample>();
  #measuredAt = Number.NEGATIVE_INFINITY;
  #usages: PodUsages = new Map();

  constructor(clock: Clock, containers: () => readonly RunningContainer[]) {
    this.#clock = clock;
    this.#containers = containers;
  }

  /** Since the last time that it was asked. */
  measure(): PodUsages {
    if (this.#clock.monotonic() - this.#measuredAt < shortestWindow) return this.#usages;
    this.#measuredAt = this.#clock.monotonic();
    const bySession = Map.groupBy(everyProcess(), ({ session }) => session);
    const samples = new Map<number, Sample>();
    const usages = new Map<string, Map<string, ContainerUsage>>();
    for (const { uid, name, session } of this.#containers()) {
      const processes = bySession.get(session) ?? [];
      const sample = { at: this.#clock.now(), ticks: sum(processes, ({ ticks }) => ticks) };
      samples.set(session, sample);
      const before = this.#samples.get(session);
      if (!before || sample.at <= before.at) continue;
      const ofPod = usages.get(uid) ?? new Map<string, ContainerUsage>();
      usages.set(uid, ofPod.set(name, usageBetween(before, sample, processes)));
    }
    this.#samples = samples;
    this.#usages = usages;
    return usages;
  }
}

function usageBetween(before: Sample, after: Sample, processes: readonly ProcessStat[]): ContainerUsage {
  const window = after.at - before.at;
  // What ended outside the shim's sight takes its ticks with it: never below zero.
  const seconds = Math.max(0, after.ticks - before.ticks) / ticksPerSecond;
  const memoryBytes = sum(processes, ({ residentPages }) => residentPages) * pageBytes;
  return { cores: seconds / (window / 1000), memoryBytes, window, at: after.at };
}

function sum(processes: readonly ProcessStat[], of: (process: ProcessStat) => number): number {
  return processes.reduce((total, process) => total + of(process), 0);
}
