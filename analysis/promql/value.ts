/** Values of queries. */

export type LabelSet = ReadonlyMap<string, string>;

export interface Sample {
  /** Name of the metric; empty once it was calculated with. */
  readonly name: string;
  readonly labels: LabelSet;
  readonly value: number;
}

/** One series in some time: epoch milliseconds and value, oldest first. */
export interface RangeSeries {
  readonly labels: LabelSet;
  readonly points: readonly (readonly [number, number])[];
}

export type Value =
  | { readonly kind: "scalar"; readonly value: number }
  | { readonly kind: "vector"; readonly samples: readonly Sample[] }
  | {
      readonly kind: "matrix";
      /** Milliseconds; and the moment at which it ends. */
      readonly range: number;
      readonly end: number;
      readonly series: readonly RangeSeries[];
    };

/** Where series come from. */
export interface SeriesSource {
  /** Milliseconds that are kept: a longer range cannot be answered. */
  readonly kept: number;
  /**
   * Series of a metric whose labels are `wanted`, with their points after `start` and up to `end` (epoch milliseconds).
   *
   * @param asked the labels that `wanted` looks at
   * @throws {RangeError} where the source cannot tell them from others
   */
  select(
    name: string,
    wanted: (labels: LabelSet) => boolean,
    start: number,
    end: number,
    asked?: readonly string[],
  ): readonly RangeSeries[];
}

/** A key that is equal for equal labels. */
export function labelKey(labels: LabelSet): string {
  return JSON.stringify([...labels].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The labels that decide: those named, or all but those named. */
export function chosen(
  labels: LabelSet,
  { only, labels: names }: { readonly only: boolean; readonly labels: readonly string[] },
): LabelSet {
  return new Map([...labels].filter(([label]) => names.includes(label) === only));
}

/** A number as Prometheus writes it. */
export function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
