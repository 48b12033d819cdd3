import { lookback, readSeries, type Selector } from "./evaluate.ts";
import { parseQuery } from "./parse.ts";
import { QueryError } from "./syntax.ts";
import { labelKey, numberText, type RangeSeries, type SeriesSource } from "./value.ts";

/**
 * The newest value of every series of these metrics in Prometheus' text form, as its `/federate` gives them.
 *
 * @param now epoch milliseconds
 * @param matches selectors (`match[]`) of which a series must match one; none: all series
 * @throws {QueryError} where one is no selector by a metric's name
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function writeExposition(
  names: readonly string[],
  source: SeriesSource,
  now: number,
  matches: readonly string[] = [],
): string {
  const selectors = matches.length === 0 ? names.map(allOf) : matches.map(selectorOf);
  return names
    .flatMap((name) => [
      `# TYPE ${name} untyped`,
      ...selected(
        selectors.filter((selector) => selector.name === name),
        source,
        now,
      ).flatMap(({ labels, points }) => {
        const newest = points.at(-1);
        if (newest === undefined) return [];
        const pairs = [...labels].map(([label, value]) => `${label}="${escaped(value)}"`);
        return [`${name}{${pairs.join()}} ${numberText(newest[1])} ${Math.round(newest[0])}`];
      }),
      "",
    ])
    .join("\n");
}

const allOf = (name: string): Selector => ({
  ...{ kind: "selector", name, matchers: [], range: undefined, offset: 0 },
});

function selectorOf(text: string): Selector {
  const expression = parseQuery(text);
  if (expression.kind !== "selector" || expression.range !== undefined || expression.offset !== 0)
    throw new QueryError(`\`${text.slice(0, 80)}\` is no selector of series`);
  return expression;
}

/** What some of the selectors want, each series once. */
function selected(selectors: readonly Selector[], source: SeriesSource, now: number): readonly RangeSeries[] {
  const found = selectors.flatMap((selector) => readSeries(source, selector, now - lookback, now));
  return [...new Map(found.map((series) => [labelKey(series.labels), series])).values()];
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
