import { existsSync } from "node:fs";
import { markerVariable } from "../process/session.ts";
import { environmentValue, everyProcess, signalProcess } from "../process/stat.ts";

/**
 * Ends what still runs of data folders that no longer exist, with the namespaces that it holds: a control plane that was
 * killed cannot stop its pods, and `fairlead down` needs the folder.
 *
 * A folder is looked for where the process itself sees it, so that another container's pods are left alone.
 *
 * @returns how many processes were ended
 */
export function sweepOrphans(): number {
  return everyProcess().filter((candidate) => {
    const folder = environmentValue(candidate.pid, markerVariable);
    if (folder === undefined || !folder.startsWith("/")) return false;
    if (!existsSync(`/proc/${candidate.pid}/root`) || existsSync(`/proc/${candidate.pid}/root${folder}`))
      return false;
    return signalProcess(candidate, "SIGKILL");
  }).length;
}
