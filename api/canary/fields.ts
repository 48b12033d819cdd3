/** Reads single fields of a Canary: a usable value always, and a word about what is wrong with the given one. */
import { type Milliseconds, parseDuration } from "../../lib/units.ts";
import { show } from "../schema/validate.ts";

/** Notes a problem with a field (JSON Pointer). An error keeps the Canary from being carried out; a warning does not. */
export type Report = (field: string, message: string, severity?: "warning") => void;

export interface Bounds {
  readonly least?: number;
  readonly most?: number;
  /** What counts where the field is absent. */
  readonly fallback: number;
}

/** A number within bounds that are told when it is not. */
export function readNumber(
  value: number | undefined,
  field: string,
  { least, most, fallback }: Bounds,
  report: Report,
): number {
  if (value === undefined) return fallback;
  const allowed =
    least === undefined
      ? `at most ${most}`
      : most === undefined
        ? `at least ${least}`
        : `between ${least} and ${most}`;
  if (value < (least ?? Number.NEGATIVE_INFINITY) || value > (most ?? Number.POSITIVE_INFINITY)) {
    report(field, `is ${show(value)}, must be ${allowed}`);
    return fallback;
  }
  return value;
}

/** As {@link readNumber}, for what is counted or goes into a field that holds whole numbers only. */
export function readWhole(value: number | undefined, field: string, bounds: Bounds, report: Report): number {
  if (value !== undefined && !Number.isInteger(value)) {
    report(field, `is ${show(value)}, must be a whole number`);
    return bounds.fallback;
  }
  return readNumber(value, field, bounds, report);
}

/** A Go duration of at least `least` milliseconds. */
export function readDuration(
  value: string | undefined,
  field: string,
  { least, fallback }: { readonly least: Milliseconds; readonly fallback: Milliseconds },
  report: Report,
): Milliseconds {
  if (value === undefined) return fallback;
  const duration = parseDuration(value);
  if (duration === undefined) {
    report(field, `is ${show(value)}, must be a duration such as \`30s\` or \`1m30s\``);
    return fallback;
  }
  if (duration < least) {
    report(field, `is ${show(value)}, must be at least \`${least / 1000}s\``);
    return fallback;
  }
  return duration;
}

/** An http or https URL. */
export function checkUrl(value: string, field: string, report: Report): void {
  const protocol = URL.parse(value)?.protocol;
  if (protocol !== "http:" && protocol !== "https:")
    report(field, `is ${show(value)}, must be a URL that begins with http:// or https://`);
}
