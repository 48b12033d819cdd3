import { type Labels, QueryError } from "./syntax.ts";
import { chosen, type LabelSet, labelKey, type Sample } from "./value.ts";

/** `sum`, `avg`, `min`, `max` or `count` over groups of series with the same labels. */
export function aggregate(name: string, by: Labels, samples: readonly Sample[]): Sample[] {
  const groups = new Map<string, { readonly labels: LabelSet; readonly values: number[] }>();
  for (const { labels, value } of samples) {
    const own = chosen(labels, by);
    const key = labelKey(own);
    const group = groups.get(key) ?? { labels: own, values: [] };
    group.values.push(value);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ labels, values }) => ({ name: "", labels, value: over(name, values) }));
}

function over(name: string, values: readonly number[]): number {
  const sum = values.reduce((total, value) => total + value, 0);
  switch (name) {
    case "sum":
      return sum;
    case "avg":
      return sum / values.length;
    case "count":
      return values.length;
    // Math.min and max would let one NaN win.
    case "min":
      return values.reduce((best, value) => (value < best || Number.isNaN(best) ? value : best));
    case "max":
      return values.reduce((best, value) => (value > best || Number.isNaN(best) ? value : best));
    default:
      throw new QueryError(`\`${name}\` is not understood`);
  }
}
