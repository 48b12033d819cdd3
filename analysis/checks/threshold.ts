import { formatDuration } from "../../lib/units.ts";
import type { ThresholdRange } from "./metric.ts";
import type { Check } from "./types.ts";

/** The limit in words, e.g. `>= 99 and <= 100`; empty where there is none. */
function thresholdText({ min, max }: ThresholdRange): string {
  return [min === undefined ? [] : `>= ${min}`, max === undefined ? [] : `<= ${max}`].flat().join(" and ");
}

/**
 * Holds a value against its range, limits included. No limit always passes, as in Flagger. A value that is no number
 * is no data: it neither passes nor fails.
 */
export function checkValue(name: string, value: number, range: ThresholdRange, query?: string): Check {
  const base = { name, threshold: thresholdText(range), ...(query === undefined ? {} : { query }) };
  if (!Number.isFinite(value))
    return noData(name, range, `no values found for metric ${name}: ${value}`, query);
  const { min, max } = range;
  if (min !== undefined && value < min) {
    return { ...base, kind: "failed", value, reason: `${inWords(name, value)} < ${limit(name, min)}` };
  }
  if (max !== undefined && value > max) {
    return { ...base, kind: "failed", value, reason: `${inWords(name, value)} > ${limit(name, max)}` };
  }
  return { ...base, kind: "passed", value, reason: inWords(name, value) };
}

/** A check that found nothing to judge. */
export function noData(name: string, range: ThresholdRange, reason: string, query?: string): Check {
  return inconclusive("no-data", name, range, reason, query);
}

/** A check whose provider could not answer. */
export function providerError(name: string, range: ThresholdRange, reason: string, query?: string): Check {
  return inconclusive("provider-error", name, range, reason, query);
}

function inconclusive(
  cause: NonNullable<Check["cause"]>,
  name: string,
  range: ThresholdRange,
  reason: string,
  query: string | undefined,
): Check {
  const base = { name, kind: "inconclusive", cause, threshold: thresholdText(range), reason } as const;
  return query === undefined ? base : { ...base, query };
}

/** A value in Flagger's words: its events are read by tools. */
function inWords(name: string, value: number): string {
  switch (name) {
    case "request-success-rate":
      return `success rate ${value.toFixed(2)}%`;
    case "request-duration":
      return `request duration ${formatDuration(value)}`;
    default:
      return `${name} ${value.toFixed(2)}`;
  }
}

function limit(name: string, value: number): string {
  if (name === "request-duration") return formatDuration(value);
  return name === "request-success-rate" ? `${value}%` : String(value);
}
