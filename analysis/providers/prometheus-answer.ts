import type { Answer } from "./types.ts";

/** What came back from `/api/v1/query`, before anyone has read it. */
export interface RawAnswer {
  /** HTTP status. */
  readonly status: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
  /** Older samples, epoch milliseconds, are no data. */
  readonly notBefore?: number;
}

/**
 * Reads the answer to an instant query. Only one finite number counts as a value: an empty result, NaN, an infinity,
 * several series, a native histogram or a range are no data; anything that is not Prometheus' form is an error.
 */
export function readPrometheusAnswer({ status, body, notBefore }: RawAnswer): Answer {
  const answer = asRecord(body);
  if (status >= 300 && status < 400)
    return { kind: "error", reason: `it redirects (HTTP ${status}): name the final address` };
  if (answer === undefined)
    return { kind: "error", reason: `HTTP ${status} with a body that is not prometheus' json` };
  if (answer.status === "error" || status >= 400) {
    // Only Prometheus' own words are passed on: whatever else answers at this address stays unread.
    const type = errorTypes.find((one) => one === answer.errorType) ?? "";
    const words = type === "" ? "" : text(answer.error);
    return {
      kind: "error",
      reason: `HTTP ${status} ${[type, words].filter((part) => part !== "").join(": ")}`.trim(),
      ...(isRefusal(status, type) ? { refused: true } : {}),
    };
  }
  const data = asRecord(answer.data);
  if (answer.status !== "success" || data === undefined)
    return { kind: "error", reason: "the answer has no status or data" };
  return readResult(data.resultType, data.result, notBefore);
}

/** @see https://prometheus.io/docs/prometheus/latest/querying/api/#format-overview */
const errorTypes: readonly string[] = [
  ...["timeout", "canceled", "execution", "bad_data", "internal", "unavailable", "not_found"],
  ...["not_acceptable", "too_many_requests"],
];

/** The query is wrong, or too much for the server: others may be answered. */
function isRefusal(status: number, type: string): boolean {
  return ["bad_data", "execution"].includes(type) || status === 400 || status === 422;
}

/** The label that tells the queries of a joined one apart, by their places. */
export const batchLabel = "fairlead_query";

/**
 * Reads the answer to joined queries, one answer for each; undefined where the server refused the whole, so that each
 * must be asked alone.
 */
export function readBatchAnswer(raw: RawAnswer, count: number): readonly Answer[] | undefined {
  const body = asRecord(raw.body);
  const data = asRecord(body?.data);
  const whole = readPrometheusAnswer(raw);
  const each = Array.from({ length: count });
  if (whole.kind === "error") return whole.refused ? undefined : each.map(() => whole);
  if (data?.resultType !== "vector" || !Array.isArray(data.result)) return undefined;
  const results = each.map((): unknown[] => []);
  for (const series of data.result) {
    const label = text(asRecord(asRecord(series)?.metric)?.[batchLabel]);
    results[/^\d+$/.test(label) ? Number(label) : -1]?.push(series);
  }
  return results.map((result) => readResult("vector", result, raw.notBefore));
}

function readResult(type: unknown, result: unknown, notBefore: number | undefined): Answer {
  if (type === "scalar") return readSample(result, notBefore);
  if (type !== "vector")
    return {
      kind: "no-data",
      reason: `the query gives a ${text(type) || "result of no type"}, not one number`,
    };
  if (!Array.isArray(result)) return { kind: "error", reason: "the answer has no result" };
  if (result.length === 0) return { kind: "no-data", reason: "the result is empty" };
  if (result.length > 1)
    return { kind: "no-data", reason: `the query gives ${result.length} series, not one` };
  const series = asRecord(result[0]);
  if (series !== undefined && "histogram" in series)
    return { kind: "no-data", reason: "the query gives a native histogram, not a number" };
  return readSample(series?.value, notBefore);
}

/** `[time, "value"]`. */
function readSample(sample: unknown, notBefore = Number.NEGATIVE_INFINITY): Answer {
  const value: unknown = Array.isArray(sample) ? sample[1] : undefined;
  if (typeof value !== "string")
    return { kind: "error", reason: "the sample is not a pair of time and value" };
  const number = /^[+-]?(?:\d|\.\d)/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isFinite(number))
    return { kind: "no-data", reason: `the value is ${/^[+-]?(?:Inf|NaN)/.exec(value)?.[0] ?? "no number"}` };
  const at: unknown = Array.isArray(sample) ? sample[0] : undefined;
  if (typeof at !== "number" || !(at * 1000 >= notBefore))
    return { kind: "no-data", reason: `the value is of ${timeText(at)}: stale` };
  return { kind: "value", value: number };
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;
}

const text = (value: unknown): string =>
  typeof value === "string" ? value.replaceAll(/\s+/g, " ").slice(0, 200) : "";

function timeText(at: unknown): string {
  const date = new Date(Number(at) * 1000);
  return Number.isNaN(date.getTime()) ? "no time" : date.toISOString();
}
