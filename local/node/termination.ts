import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Container, Terminated } from "./container.ts";
import { type Attempt, type Exit, logPath } from "./process/attempt-folder.ts";

/** As the kubelet: the last 2 KiB or 80 lines of the log. */
const messageBytes = 2048;
const messageLines = 80;

/**
 * How an attempt ended, in the kubelet's words.
 *
 * The message is the end of the log where the container asks for it (`FallbackToLogsOnError`) or where the
 * command could not be started at all (exit 126 and 127 within a second).
 */
export function describeExit(
  { code, at }: Exit,
  attempt: Attempt,
  container: Container | undefined,
): Terminated {
  const notStarted = (code === 126 || code === 127) && at - attempt.startedAt < 1000;
  const wantsLog = code !== 0 && container?.terminationMessagePolicy === "FallbackToLogsOnError";
  const tail = notStarted || wantsLog ? logTail(logPath(attempt)) : "";
  // The shell names itself, its line and `exec` before what it could not run.
  const message = notStarted ? tail.replace(/^.*: exec: /gm, "") : tail;
  return {
    kind: "terminated",
    exitCode: code,
    reason: notStarted ? "StartError" : code === 0 ? "Completed" : "Error",
    ...(message === "" ? {} : { message }),
    startedAt: attempt.startedAt,
    finishedAt: at,
  };
}

function logTail(path: string): string {
  try {
    const file = openSync(path, "r");
    try {
      const { size } = fstatSync(file);
      const buffer = Buffer.alloc(Math.min(size, messageBytes));
      readSync(file, buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString("utf8").trim().split("\n").slice(-messageLines).join("\n");
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}
