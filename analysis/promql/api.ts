import { evaluate, evaluateQuery, lookback, type Reader, readSeries, type Selector } from "./evaluate.ts";
import { parseQuery } from "./parse.ts";
import { QueryError } from "./syntax.ts";
import { readDuration } from "./tokens.ts";
import {
  labelKey,
  numberText,
  type RangeSeries,
  type Sample,
  type SeriesSource,
  type Value,
} from "./value.ts";

/** An answer in the form of Prometheus' HTTP API. */
export interface ApiAnswer {
  /** HTTP status. */
  readonly status: number;
  readonly body: object;
}

/** Moments that a range may have, as Prometheus'; and how long its answer is worked on before others get a turn. */
const mostSteps = 11_000;
const turnMs = 20;
/** An answer may take this much time of the process that guards releases, milliseconds. */
const mostWork = 2_000;

/**
 * Answers `/api/v1/query` and `/api/v1/query_range` from `source`; undefined for other paths.
 *
 * @param now epoch milliseconds, where the request names no time
 * @see https://prometheus.io/docs/prometheus/latest/querying/api/
 */
export async function answerApi(
  path: string,
  parameters: URLSearchParams,
  source: SeriesSource,
  now: number,
): Promise<ApiAnswer | undefined> {
  try {
    switch (path) {
      case "/api/v1/query": {
        const at = timeOf(parameters.get("time"), now);
        const value = evaluateQuery(parameters.get("query") ?? "", at, source);
        return success(instantResult(value, at));
      }
      case "/api/v1/query_range":
        return success(await rangeResult(parameters, source, now));
      default:
        return undefined;
    }
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    return { status: 400, body: { status: "error", errorType: "bad_data", error: error.message } };
  }
}

function success(data: object): ApiAnswer {
  return { status: 200, body: { status: "success", data } };
}

/** Epoch seconds or RFC 3339. */
function timeOf(text: string | null, now: number): number {
  if (text === null || text === "") return now;
  const time = /^[\d.eE+-]+$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (!Number.isFinite(time)) throw new QueryError(`\`${text}\` is no time`);
  return time;
}

function instantResult(value: Value, at: number): object {
  switch (value.kind) {
    case "scalar":
      return { resultType: "scalar", result: point(at, value.value) };
    case "vector":
      return {
        resultType: "vector",
        result: value.samples.map((sample) => ({ metric: metricOf(sample), value: point(at, sample.value) })),
      };
    case "matrix":
      return {
        resultType: "matrix",
        result: value.series.map(({ labels, points }) => ({
          metric: Object.fromEntries(labels),
          values: points.map(([time, number]) => point(time, number)),
        })),
      };
  }
}

async function rangeResult(parameters: URLSearchParams, source: SeriesSource, now: number): Promise<object> {
  const start = timeOf(parameters.get("start"), now);
  const end = timeOf(parameters.get("end"), now);
  const text = parameters.get("step") ?? "";
  const step = /^[\d.]+$/.test(text) ? Number(text) * 1000 : readDuration(text);
  if (!(step > 0)) throw new QueryError("the step is no duration above 0");
  if (end < start) throw new QueryError("the range ends before it starts");
  if ((end - start) / step > mostSteps) throw new QueryError(`a range may have ${mostSteps} steps`);
  const expression = parseQuery(parameters.get("query") ?? "");
  const reader = readOnce(source, start, end);
  const series = new Map<string, { metric: object; values: [number, string][] }>();
  let worked = 0;
  let turn = performance.now();
  for (let at = start; at <= end; at += step) {
    const spent = performance.now() - turn;
    if (spent > turnMs) {
      worked += spent;
      if (worked > mostWork) throw new QueryError("the query takes too long: ask for fewer steps");
      await new Promise((resolve) => setImmediate(resolve));
      turn = performance.now();
    }
    const value = evaluate(expression, at, reader);
    if (value.kind === "matrix") throw new QueryError("a range of a range of time means nothing");
    const samples: readonly Sample[] =
      value.kind === "scalar" ? [{ name: "", labels: new Map(), value: value.value }] : value.samples;
    for (const sample of samples) {
      const key = `${sample.name} ${labelKey(sample.labels)}`;
      const found = series.get(key) ?? { metric: metricOf(sample), values: [] };
      found.values.push(point(at, sample.value));
      series.set(key, found);
    }
  }
  return { resultType: "matrix", result: [...series.values()] };
}

/** Reads each selector's series once for the whole of a range, and gives each moment its part. */
function readOnce(source: SeriesSource, start: number, end: number): Reader {
  const read = new Map<Selector, readonly RangeSeries[]>();
  return (selector, from, to) => {
    const { range = lookback, offset } = selector;
    const whole = read.get(selector) ?? readSeries(source, selector, start - offset - range, end - offset);
    read.set(selector, whole);
    return whole.flatMap(({ labels, points }) => {
      const part = points.slice(firstAfter(points, from), firstAfter(points, to));
      return part.length === 0 ? [] : [{ labels, points: part }];
    });
  };
}

/** Index of the first point after `at`. */
function firstAfter(points: RangeSeries["points"], at: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.[0] ?? 0) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

function metricOf({ name, labels }: Sample): object {
  return { ...(name === "" ? {} : { __name__: name }), ...Object.fromEntries(labels) };
}

function point(at: number, value: number): [number, string] {
  return [at / 1000, numberText(value)];
}
