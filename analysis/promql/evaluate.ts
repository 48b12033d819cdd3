import { RE2JS } from "re2js";
import { aggregate } from "./aggregate.ts";
import { binary } from "./binary.ts";
import { absent, call } from "./functions.ts";
import { parseQuery } from "./parse.ts";
import { type Expression, type LabelMatcher, QueryError } from "./syntax.ts";
import type { LabelSet, RangeSeries, Sample, SeriesSource, Value } from "./value.ts";

/** How old a sample may be to count at a moment, as Prometheus'. */
export const lookback = 300_000;

export type Selector = Extract<Expression, { kind: "selector" }>;

/** Gives a selector's series with their points after `start` and up to `end`, epoch milliseconds. */
export type Reader = (selector: Selector, start: number, end: number) => readonly RangeSeries[];

/**
 * The answer to `query` at `at` (epoch milliseconds), from what `source` holds.
 *
 * @throws {QueryError} where the query is not in the subset, or means nothing
 */
export function evaluateQuery(query: string, at: number, source: SeriesSource): Value {
  return evaluate(parseQuery(query), at, (selector, start, end) => readSeries(source, selector, start, end));
}

/** Reads a selector's series from a source. @throws {QueryError} where it reaches back further than is kept */
export function readSeries(
  source: SeriesSource,
  { name, matchers, range = 0 }: Selector,
  start: number,
  end: number,
): readonly RangeSeries[] {
  if (range > source.kept)
    throw new QueryError(`only the last ${source.kept / 60_000} minutes are kept: ask for a shorter range`);
  const tests = matchers.map(matcherTest);
  const wanted = (labels: LabelSet): boolean => tests.every((test) => test(labels));
  try {
    return source.select(
      name,
      wanted,
      start,
      end,
      matchers.map(({ label }) => label),
    );
  } catch (error) {
    if (error instanceof RangeError) throw new QueryError(error.message);
    throw error;
  }
}

/** The same for a query that is read already, as a range asks it at many moments. */
export function evaluate(expression: Expression, at: number, reader: Reader): Value {
  switch (expression.kind) {
    case "number":
      return { kind: "scalar", value: expression.value };
    case "selector":
      return select(expression, at, reader);
    case "negative":
      return binary({ kind: "scalar", value: -1 }, evaluate(expression.of, at, reader), {
        operator: "*",
        bool: false,
        matching: { only: false, labels: [] },
      });
    case "call": {
      const [first] = expression.args;
      if (expression.name === "absent" && first !== undefined && expression.args.length === 1)
        return absent(evaluate(first, at, reader), first.kind === "selector" ? first.matchers : []);
      return call(
        expression.name,
        expression.args.map((argument) => evaluate(argument, at, reader)),
        at,
      );
    }
    case "aggregation": {
      const of = evaluate(expression.of, at, reader);
      if (of.kind !== "vector") throw new QueryError(`${expression.name} wants series, not a ${of.kind}`);
      return { kind: "vector", samples: aggregate(expression.name, expression.by, of.samples) };
    }
    case "binary":
      return binary(
        evaluate(expression.left, at, reader),
        evaluate(expression.right, at, reader),
        expression,
      );
  }
}

function select(selector: Selector, at: number, reader: Reader): Value {
  const { name, range, offset } = selector;
  const end = at - offset;
  const found = reader(selector, end - (range ?? lookback), end);
  if (range !== undefined) {
    return { kind: "matrix", range, end, series: found.filter(({ points }) => points.length > 0) };
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
