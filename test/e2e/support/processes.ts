/** What the system tells of running processes, from `/proc`. */
import { readFileSync } from "node:fs";
import { processesNaming } from "../../../local/testing/processes.ts";

/** Clock ticks a second, as `/proc/<pid>/stat` counts: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/**
 * The processes of the control plane that keeps its state in `dataDir`: all that name it but those of its
 * pods (shims, agents, Envoys, applications).
 */
export function controlPlaneProcesses(dataDir: string): readonly number[] {
  const ofPods = new Set(processesNaming(`${dataDir}/pods/`));
  return processesNaming(dataDir).filter((pid) => !ofPods.has(pid));
}

/** Resident memory of a process, bytes: `Rss` of `smaps_rollup`. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^Rss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** Processor time that a process has used, user and system, seconds. */
export function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** What still runs of a folder, as a person would want to read it. */
export function describeProcesses(folder: string): readonly string[] {
  return processesNaming(folder).map((pid) => `${pid} ${commandOf(pid)}`);
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1")
      .replaceAll(/[\0\n]/g, " ")
      .trim()
      .slice(-120);
  } catch {
    return "(gone)";
  }
}
