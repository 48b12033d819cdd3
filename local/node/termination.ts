import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import type { Container, Terminated } from "./container.ts";
import {
  type Attempt,
  type Exit,
  logPath,
  terminationMessagePath,
  wasOomKilled,
} from "./process/attempt-folder.ts";

/** As the kubelet: a message of 4 KiB, or the last 2 KiB or 80 lines of the log. */
const messageBytes = 4096;
const logBytes = 2048;
const logLines = 80;

/**
 * How an attempt ended, in the kubelet's words.
 *
 * The message is what the container wrote to its `terminationMessagePath`; else the end of its log, where it asks for it
 * (`FallbackToLogsOnError`) or where the command could not be started at all (exit 126 and 127 within a second).
 *
 * @param container undefined for an attempt before the latest, whose message is gone
 */
export function describeExit(
  { code, at }: Exit,
  attempt: Attempt,
  container: Container | undefined,
): Terminated {
  const notStarted = (code === 126 || code === 127) && at - attempt.startedAt < 1000;
  const message = notStarted ? startError(attempt) : container ? ownMessage(code, attempt, container) : "";
  return {
    kind: "terminated",
    exitCode: code,
    reason: wasOomKilled(attempt)
      ? "OOMKilled"
      : notStarted
        ? "StartError"
        : code === 0
          ? "Completed"
          : "Error",
    ...(message === "" ? {} : { message }),
    startedAt: attempt.startedAt,
    finishedAt: at,
  };
}

/** The shell names itself, its line and `exec` before what it could not run. */
function startError(attempt: Attempt): string {
  return tailOf(logPath(attempt), logBytes)
    .split("\n")
    .slice(-logLines)
    .join("\n")
    .replace(/^.*: exec: /gm, "");
}

function ownMessage(code: number, attempt: Attempt, container: Container): string {
  const written = tailOf(terminationMessagePath(dirname(attempt.folder)), messageBytes);
  if (written !== "" || code === 0 || container.terminationMessagePolicy !== "FallbackToLogsOnError")
    return written;
  return tailOf(logPath(attempt), logBytes).split("\n").slice(-logLines).join("\n");
}

/** The end of a file, trimmed; empty where it cannot be read. */
function tailOf(path: string, bytes: number): string {
  try {
    const file = openSync(path, "r");
    try {
      const { size } = fstatSync(file);
      const buffer = Buffer.alloc(Math.min(size, bytes));
      readSync(file, buffer, 0, buffer.length, size - buffer.length);
      return buffer.toString("utf8").trim();
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}
