import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { isAlive, readStat } from "../../local/node/process/stat.ts";

/**
 * Names this process among all that may hold a lease, now and later: `host_boot_namespace_pid_start_chance`, so that
 * whoever sees the same processes can tell whether it still runs.
 */
export function ownHolder(): string {
  const { boot, namespace } = ownPlace();
  const started = readStat(process.pid)?.startTime ?? "";
  const chance = randomBytes(4).toString("hex");
  return [hostname(), boot, namespace, process.pid, started, chance].join("_");
}

/**
 * Whether a holder's process is certainly gone: it ran in this process's own pid namespace since the same boot, and no
 * longer does. False wherever that cannot be known.
 */
export function isGone(holder: string): boolean {
  const [boot, namespace, pid, startTime, chance] = holder.split("_").slice(-5);
  if (!pid || !startTime || !chance) return false;
  const own = ownPlace();
  if (own.boot === "" || boot !== own.boot || namespace !== own.namespace) return false;
  return !isAlive({ pid: Number(pid), startTime });
}

/** Which boot of which machine, and which processes of it can be seen; empty where `/proc` does not tell. */
function ownPlace(): { readonly boot: string; readonly namespace: string } {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const namespace = /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "";
    return namespace === "" ? { boot: "", namespace } : { boot, namespace };
  } catch {
    return { boot: "", namespace: "" };
  }
}
