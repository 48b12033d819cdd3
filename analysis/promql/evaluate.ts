import { RE2JS } from "re2js";
import { aggregate } from "./aggregate.ts";
import { binary } from "./binary.ts";
import { call } from "./functions.ts";
import { parseQuery } from "./parse.ts";
import { type Expression, type LabelMatcher, QueryError } from "./syntax.ts";
import type { RangeSeries, Sample, SeriesSource, Value } from "./value.ts";

/** How old a sample may be to count at a moment, as Prometheus'. */
const lookback = 300_000;

/**
 * The answer to `query` at `at` (epoch milliseconds), from what `source` holds.
 *
 * @throws {QueryError} where the query is not in the subset, or means nothing
 */
export async function evaluateQuery(query: string, at: number, source: SeriesSource): Promise<Value> {
  return evaluate(parseQuery(query), at, source);
}

/** The same for a query that is read already, as a range asks it at many moments. */
export async function evaluate(expression: Expression, at: number, source: SeriesSource): Promise<Value> {
  switch (expression.kind) {
    case "number":
      return { kind: "scalar", value: expression.value };
    case "selector":
      return select(expression, at, source);
    case "negative": {
      const value = await evaluate(expression.of, at, source);
      return binary({ kind: "scalar", value: -1 }, value, {
        operator: "*",
        bool: false,
        matching: { only: false, labels: [] },
      });
    }
    case "call": {
      const args = await Promise.all(expression.args.map((argument) => evaluate(argument, at, source)));
      return call(expression.name, args, at);
    }
    case "aggregation": {
      const of = await evaluate(expression.of, at, source);
      if (of.kind !== "vector") throw new QueryError(`${expression.name} wants series, not a ${of.kind}`);
      return { kind: "vector", samples: aggregate(expression.name, expression.by, of.samples) };
    }
    case "binary": {
      const [left, right] = await Promise.all([
        evaluate(expression.left, at, source),
        evaluate(expression.right, at, source),
      ]);
      return binary(left, right, expression);
    }
  }
}

async function select(
  { name, matchers, range, offset }: Extract<Expression, { kind: "selector" }>,
  at: number,
  source: SeriesSource,
): Promise<Value> {
  const end = at - offset;
  const start = end - (range ?? lookback);
  const tests = matchers.map(matcherTest);
  const found = await source.select(name, (labels) => tests.every((test) => test(labels)), start, end);
  if (range !== undefined) {
    const series = found.filter(({ points }) => points.length > 0);
    return { kind: "matrix", range, end, series };
  }
  return {
    kind: "vector",
    samples: found.flatMap((series): Sample[] => {
      const newest = series.points.at(-1);
      return newest === undefined ? [] : [{ name, labels: series.labels, value: newest[1] }];
    }),
  };
}

/** Whether a series' labels match; an absent label is empty. Patterns are RE2 and cover the whole value. */
function matcherTest({ label, operator, value }: LabelMatcher): (labels: RangeSeries["labels"]) => boolean {
  const of = (labels: RangeSeries["labels"]): string => labels.get(label) ?? "";
  switch (operator) {
    case "=":
      return (labels) => of(labels) === value;
    case "!=":
      return (labels) => of(labels) !== value;
    default: {
      const pattern = compile(value);
      const wanted = operator === "=~";
      return (labels) => pattern.matches(of(labels)) === wanted;
    }
  }
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch {
    throw new QueryError(`\`${pattern.slice(0, 80)}\` is no regular expression`);
  }
}
