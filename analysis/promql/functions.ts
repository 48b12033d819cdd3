import { bucketQuantile } from "./histogram.ts";
import { type LabelMatcher, QueryError } from "./syntax.ts";
import { type LabelSet, labelKey, type RangeSeries, type Sample, type Value } from "./value.ts";

/** Calls a function of the subset. @throws {QueryError} where it is none of them, or its arguments do not fit */
export function call(name: string, args: readonly Value[], at: number): Value {
  switch (name) {
    case "rate":
    case "increase":
    case "delta":
    case "irate":
      return overTime(name, args);
    case "histogram_quantile":
      return histogramQuantile(args);
    case "vector":
      return { kind: "vector", samples: [{ name: "", labels: new Map(), value: scalar(name, args, 0) }] };
    case "scalar": {
      const samples = vector(name, args, 0);
      return { kind: "scalar", value: samples.length === 1 ? (samples[0]?.value ?? Number.NaN) : Number.NaN };
    }
    case "time":
      return { kind: "scalar", value: at / 1000 };
    case "clamp_min":
    case "clamp_max": {
      const limit = scalar(name, args, 1);
      const keep = name === "clamp_min" ? Math.max : Math.min;
      return each(vector(name, args, 0), (value) => keep(value, limit));
    }
    default: {
      const simple = simpleFunctions.get(name);
      if (simple === undefined) throw new QueryError(`function \`${name}\` is not understood`);
      return each(vector(name, args, 0), simple);
    }
  }
}

const simpleFunctions: ReadonlyMap<string, (value: number) => number> = new Map([
  ["abs", Math.abs],
  ["ceil", Math.ceil],
  ["floor", Math.floor],
  ["round", Math.round],
  ["sqrt", Math.sqrt],
  ["ln", Math.log],
  ["exp", Math.exp],
]);

function each(samples: readonly Sample[], change: (value: number) => number): Value {
  return {
    kind: "vector",
    samples: samples.map(({ labels, value }) => ({ name: "", labels, value: change(value) })),
  };
}

function scalar(name: string, args: readonly Value[], index: number): number {
  const value = args[index];
  if (value?.kind !== "scalar") throw new QueryError(`${name} wants a number as argument ${index + 1}`);
  return value.value;
}

function vector(name: string, args: readonly Value[], index: number): readonly Sample[] {
  const value = args[index];
  if (value?.kind !== "vector") throw new QueryError(`${name} wants series as argument ${index + 1}`);
  return value.samples;
}

function overTime(name: string, args: readonly Value[]): Value {
  const [matrix] = args;
  if (matrix?.kind !== "matrix") throw new QueryError(`${name} wants a range of time, e.g. metric[1m]`);
  const { range, end } = matrix;
  return {
    kind: "vector",
    samples: matrix.series.flatMap((series): Sample[] => {
      const value =
        name === "irate"
          ? lastRate(series)
          : extrapolated(series, range, end, name !== "delta", name === "rate");
      return value === undefined ? [] : [{ name: "", labels: series.labels, value }];
    }),
  };
}

/**
 * How much a series grew in the range, extrapolated to its edges as Prometheus does: by the mean distance of its samples
 * at most half of it, and for a counter never below 0. A counter that fell began anew.
 *
 * @see prometheus/promql/functions.go, extrapolatedRate
 */
function extrapolated(
  { points }: RangeSeries,
  range: number,
  end: number,
  counter: boolean,
  perSecond: boolean,
): number | undefined {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || points.length < 2) return undefined;
  let growth = last[1] - first[1];
  if (counter) {
    for (const [index, [, value]] of points.entries()) {
      const before = points[index - 1]?.[1] ?? value;
      if (value < before) growth += before;
    }
  }
  const start = end - range;
  const sampled = last[0] - first[0];
  const distance = sampled / (points.length - 1);
  const threshold = distance * 1.1;
  let before = first[0] - start;
  let after = end - last[0];
  if (before >= threshold) before = distance / 2;
  if (counter && growth > 0 && first[1] >= 0) before = Math.min(before, sampled * (first[1] / growth));
  if (after >= threshold) after = distance / 2;
  const whole = growth * ((sampled + before + after) / sampled);
  return perSecond ? whole / (range / 1000) : whole;
}

function lastRate({ points }: RangeSeries): number | undefined {
  const [before, last] = points.slice(-2);
  if (before === undefined || last === undefined) return undefined;
  const growth = last[1] < before[1] ? last[1] : last[1] - before[1];
  return growth / ((last[0] - before[0]) / 1000);
}

/** One series where there is none, with the labels that were asked for by `=`. */
export function absent(value: Value, matchers: readonly LabelMatcher[]): Value {
  const samples = vector("absent", [value], 0);
  if (samples.length > 0) return { kind: "vector", samples: [] };
  const asked = matchers.filter(
    ({ label, operator }) =>
      operator === "=" && matchers.filter((other) => other.label === label).length === 1,
  );
  const labels = new Map(asked.map((matcher) => [matcher.label, matcher.value]));
  return { kind: "vector", samples: [{ name: "", labels, value: 1 }] };
}

/** Groups of buckets by all labels but `le`. */
function histogramQuantile(args: readonly Value[]): Value {
  const share = scalar("histogram_quantile", args, 0);
  const groups = new Map<string, { labels: LabelSet; buckets: [number, number][] }>();
  for (const { labels, value } of vector("histogram_quantile", args, 1)) {
    const bound = labels.get("le");
    if (bound === undefined) continue;
    const upper = bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound);
    if (Number.isNaN(upper)) continue;
    const own = new Map([...labels].filter(([label]) => label !== "le"));
    const key = labelKey(own);
    const group = groups.get(key) ?? { labels: own, buckets: [] };
    group.buckets.push([upper, value]);
    groups.set(key, group);
  }
  return {
    kind: "vector",
    samples: [...groups.values()].map(({ labels, buckets }) => ({
      name: "",
      labels,
      value: bucketQuantile(share, buckets),
    })),
  };
}
