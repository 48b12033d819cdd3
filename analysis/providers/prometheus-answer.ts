import type { Answer } from "./types.ts";

/** What came back from `/api/v1/query`, before anyone has read it. */
export interface RawAnswer {
  /** HTTP status. */
  readonly status: number;
  /** Parsed JSON, or the text where it is none. */
  readonly body: unknown;
}

/**
 * Reads the answer to an instant query. Only one finite number counts as a value: an empty result, NaN, an infinity,
 * several series, a native histogram or a range are no data; anything that is not Prometheus' form is an error.
 */
export function readPrometheusAnswer({ status, body }: RawAnswer): Answer {
  const answer = asRecord(body);
  if (status >= 300 && status < 400)
    return { kind: "error", reason: `it redirects (HTTP ${status}): name the final address` };
  if (answer === undefined)
    return { kind: "error", reason: `HTTP ${status} with a body that is not prometheus' json` };
  if (answer.status === "error" || status >= 400) {
    const type = text(answer.errorType);
    return {
      kind: "error",
      reason: `HTTP ${status} ${[type, text(answer.error)].filter((part) => part !== "").join(": ")}`.trim(),
    };
  }
  const data = asRecord(answer.data);
  if (answer.status !== "success" || data === undefined)
    return { kind: "error", reason: "the answer has no status or data" };
  return readResult(data.resultType, data.result);
}

function readResult(type: unknown, result: unknown): Answer {
  if (type === "scalar") return readSample(result);
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
  return readSample(series?.value);
}

/** `[time, "value"]`. */
function readSample(sample: unknown): Answer {
  const value: unknown = Array.isArray(sample) ? sample[1] : undefined;
  if (typeof value !== "string")
    return { kind: "error", reason: "the sample is not a pair of time and value" };
  const number = /^[+-]?(?:\d|\.\d)/.test(value) ? Number(value) : Number.NaN;
  if (!Number.isFinite(number)) return { kind: "no-data", reason: `the value is ${value.slice(0, 20)}` };
  return { kind: "value", value: number };
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined;
}

const text = (value: unknown): string =>
  typeof value === "string" ? value.replaceAll(/\s+/g, " ").slice(0, 200) : "";
