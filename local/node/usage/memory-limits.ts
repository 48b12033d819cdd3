import { readFileSync } from "node:fs";
import type { Clock } from "../../../lib/clock.ts";
import type { Milliseconds } from "../../../lib/units.ts";
import { everyProcess, type ProcessStat } from "../process/stat.ts";
import { pageBytes } from "./meter.ts";

/** A running container that may use so much memory. */
export interface LimitedContainer {
  readonly session: number;
  readonly limitBytes: number;
  /** Ends it because it uses more. */
  kill(): void;
}

/** Between two looks: a container may exceed its limit for so long. */
const period: Milliseconds = 2000;

/**
 * Ends containers that use more memory than their limit, as the kernel ends those of a kubelet. Looks each two seconds,
 * and at nothing where no container has a limit.
 *
 * @returns what stops it
 */
export function startMemoryLimits(clock: Clock, containers: () => readonly LimitedContainer[]): () => void {
  let cancel = clock.after(period, look);
  function look(): void {
    cancel = clock.after(period, look);
    const limited = containers();
    if (limited.length === 0) return;
    const bySession = Map.groupBy(everyProcess(), ({ session }) => session);
    for (const container of limited) {
      if (usesMore(bySession.get(container.session) ?? [], container.limitBytes)) container.kill();
    }
  }
  return () => cancel();
}

/** Resident pages first, as they are at hand; what processes share is shared out only where that is too much. */
function usesMore(processes: readonly ProcessStat[], limitBytes: number): boolean {
  const resident = processes.reduce((sum, { residentPages }) => sum + residentPages * pageBytes, 0);
  if (resident <= limitBytes) return false;
  return processes.reduce((sum, process) => sum + proportionalBytes(process), 0) > limitBytes;
}

/** `Pss` of `/proc/<pid>/smaps_rollup`: shared pages divided by those who share them. */
function proportionalBytes({ pid, residentPages }: ProcessStat): number {
  try {
    const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [];
    return kilobytes === undefined ? residentPages * pageBytes : Number(kilobytes) * 1024;
  } catch {
    // It is gone, or another user's.
    return 0;
  }
}
