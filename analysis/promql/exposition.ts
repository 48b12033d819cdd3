import { lookback } from "./evaluate.ts";
import { numberText, type SeriesSource } from "./value.ts";

/**
 * The newest value of every series of these metrics in Prometheus' text form, as its `/federate` gives them.
 *
 * @param now epoch milliseconds
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function writeExposition(names: readonly string[], source: SeriesSource, now: number): string {
  return names
    .flatMap((name) => [
      `# TYPE ${name} untyped`,
      ...source
        .select(name, () => true, now - lookback, now)
        .flatMap(({ labels, points }) => {
          const newest = points.at(-1);
          if (newest === undefined) return [];
          const pairs = [...labels].map(([label, value]) => `${label}="${escaped(value)}"`);
          return [`${name}{${pairs.join()}} ${numberText(newest[1])} ${Math.round(newest[0])}`];
        }),
      "",
    ])
    .join("\n");
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
