/** What the processes of a pod's sidecar take, from `/proc`. */
import { readdirSync, readFileSync } from "node:fs";
import { processesNaming } from "../../local/testing/processes.ts";

/** MB: Envoy's share of what it maps (PSS), the agent's resident memory (RSS). */
export function memoryOfSidecar(pod: string): {
  readonly envoyPssMb: number;
  readonly agentRssMb: number;
  readonly envoyPid: number;
} {
  const found = { envoyPssMb: Number.NaN, agentRssMb: Number.NaN, envoyPid: 0 };
  for (const pid of processesNaming(pod)) {
    const words = readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
    if (words[0]?.endsWith("/envoy"))
      Object.assign(found, { envoyPid: pid, envoyPssMb: megabytes(pid, "Pss") });
    else if (words.includes("agent") || words.some((word) => word.includes("mesh/agent/")))
      found.agentRssMb = megabytes(pid, "Rss");
  }
  return found;
}

function megabytes(pid: number, field: "Pss" | "Rss"): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const [, kilobytes] = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text) ?? [];
  return Math.round(Number(kilobytes) / 102.4) / 10;
}

/** Time that all threads of processes have run, microseconds. */
export function runningTime(pids: readonly number[]): number {
  return pids
    .flatMap((pid) =>
      readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`),
    )
    .reduce((sum, file) => sum + Number(readFileSync(file, "latin1").split(" ")[0]) / 1000, 0);
}
