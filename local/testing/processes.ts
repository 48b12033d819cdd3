import { readdirSync, readFileSync } from "node:fs";

/** The pids of the processes whose command line or environment names `text`, except this one. */
export function processesNaming(text: string): readonly number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.filter((pid) => namesText(pid, text)).map(Number);
}

function namesText(pid: string, text: string): boolean {
  try {
    if (/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "latin1"))) return false;
    return ["cmdline", "environ"].some((file) =>
      readFileSync(`/proc/${pid}/${file}`, "latin1").includes(text),
    );
  } catch {
    return false;
  }
}
