import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../../../lib/log.ts";
import { type Attempt, createAttempt, readAttempts } from "../../process/attempt-folder.ts";
import { killAll, markerVariable, shimRuns, waitForExit } from "../../process/session.ts";
import { startProcess } from "../../process/shim.ts";
import { searchPath } from "../holder.ts";

export interface NameServerOptions {
  /** Where its state is kept. */
  readonly folder: string;
  /** Process whose network namespace it serves in. */
  readonly namespaceOf: number;
  readonly address: string;
  readonly zoneFile: string;
  readonly logger: Logger;
}

/** Milliseconds until one that ended is started again. */
const pause = 1_000;

/**
 * Keeps the cluster's name server running, a process that outlives this one; one that runs already is left alone.
 *
 * @returns what stops looking after it; the server goes on
 */
export async function keepNameServer(options: NameServerOptions): Promise<() => void> {
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let cancel: () => void = () => undefined;
  const follow = (attempt: Attempt, ended?: Promise<void>) => {
    const wait = waitForExit(attempt, ended);
    cancel = wait.cancel;
    void wait.exit.then(({ code }) => {
      if (closed) return;
      options.logger.warn({ code }, "the cluster's name server ended, starting it again");
      timer = setTimeout(() => void begin(), pause);
    });
  };
  const begin = async () => {
    if (closed) return;
    try {
      const { attempt, ended } = await startNameServer(options);
      follow(attempt, ended);
    } catch (error) {
      options.logger.error({ err: error }, "the cluster's name server cannot be started");
    }
  };
  const latest = readAttempts(options.folder).at(-1);
  if (latest !== undefined && shimRuns(latest)) follow(latest);
  else await begin();
  return () => {
    closed = true;
    clearTimeout(timer);
    cancel();
  };
}

async function startNameServer({ folder, namespaceOf, address, zoneFile }: NameServerOptions) {
  stopNameServer(folder);
  const attempt = createAttempt(folder, { number: 0, startedAt: Date.now(), backOff: 0 });
  const program = join(import.meta.dirname, "main.js");
  const { ended } = await startProcess({
    attempt,
    command: [
      "nsenter",
      `--net=/proc/${namespaceOf}/ns/net`,
      "--",
      process.execPath,
      // It keeps little: a small young generation costs it nothing.
      "--max-semi-space-size=1",
      program,
      address,
      zoneFile,
    ],
    environment: { PATH: searchPath(), [markerVariable]: attempt.folder },
    workingFolder: existsSync(folder) ? folder : "/",
  });
  return { attempt, ended };
}

/** Ends it. */
export function stopNameServer(folder: string): void {
  for (const attempt of readAttempts(folder)) killAll(attempt, { shimToo: true });
}
