import { type Logger as Pino, pino } from "pino";
import { redactedPaths } from "./redaction.ts";

/** The one logger: JSON lines on stderr. A room takes a child that names it. */
export type Logger = Pick<Pino, "debug" | "info" | "warn" | "error" | "child">;

/** Makes the process's logger. `level` as pino's; secrets are cut by path (`redaction.ts`). */
export function createLogger(level = "info"): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: [...redactedPaths] },
    pino.destination(2),
  );
}

/** Says nothing: for libraries used inside other people's tests. */
export const silent: Logger = pino({ level: "silent" });
