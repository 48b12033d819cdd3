import { type Milliseconds, parseDuration } from "../../lib/units.ts";
import type { Report } from "./problem.ts";

/** Reads a duration such as `1s`; what is none is a problem and counts as absent. */
export function readDuration(
  text: string | undefined,
  field: string,
  report: Report,
): Milliseconds | undefined {
  if (text === undefined) return undefined;
  const duration = parseDuration(text);
  if (duration === undefined || duration < 0) {
    report.problem(field, `\`${text}\` is not a duration such as \`1s\` or \`250ms\``);
    return undefined;
  }
  return duration;
}
