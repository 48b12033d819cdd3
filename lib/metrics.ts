/** Numbers about this process, in Prometheus' text form. */

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels: Labels, by?: number): void;
}

export interface Gauge {
  set(labels: Labels, value: number): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
}

export interface Registry {
  counter(name: string, help: string): Counter;
  gauge(name: string, help: string): Gauge;
  /** `bounds` ascending, `+Inf` left out. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram;
  /** Drops every series that has all of `labels`: what it told about is gone. */
  remove(labels: Labels): void;
  /** @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
  text(): string;
}

interface Series {
  readonly labels: Labels;
  value: number;
  /** Of a histogram: counts per bound, not cumulative. */
  readonly buckets?: number[];
  sum?: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly bounds: readonly number[];
  readonly series: Map<string, Series>;
}

/** Makes an empty registry. */
export function createRegistry(): Registry {
  const families = new Map<string, Family>();

  function family(name: string, help: string, type: Family["type"], bounds: readonly number[] = []): Family {
    const known = families.get(name);
    if (known !== undefined) return known;
    const made: Family = { name, help, type, bounds, series: new Map() };
    families.set(name, made);
    return made;
  }

  return {
    counter(name, help) {
      const counters = family(name, help, "counter");
      return {
        add: (labels, by = 1) => {
          seriesOf(counters, labels).value += by;
        },
      };
    },
    gauge(name, help) {
      const gauges = family(name, help, "gauge");
      return {
        set: (labels, value) => {
          seriesOf(gauges, labels).value = value;
        },
      };
    },
    histogram(name, help, bounds) {
      const histograms = family(name, help, "histogram", bounds);
      return {
        observe: (labels, value) => {
          const series = seriesOf(histograms, labels);
          series.value++;
          series.sum = (series.sum ?? 0) + value;
          const index = bounds.findIndex((bound) => value <= bound);
          const bucket = index < 0 ? bounds.length : index;
          if (series.buckets) series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
        },
      };
    },
    remove(labels) {
      for (const { series } of families.values()) {
        for (const [key, one] of series) {
          if (Object.entries(labels).every(([name, value]) => one.labels[name] === value)) series.delete(key);
        }
      }
    },
    text: () => [...families.values()].map(familyText).join(""),
  };
}

function seriesOf({ series, type, bounds }: Family, labels: Labels): Series {
  const key = labelText(labels);
  const known = series.get(key);
  if (known !== undefined) return known;
  const made: Series = {
    labels,
    value: 0,
    ...(type === "histogram" && { buckets: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 }),
  };
  series.set(key, made);
  return made;
}

function familyText({ name, help, type, bounds, series }: Family): string {
  if (series.size === 0) return "";
  const lines = [...series.values()].flatMap((one) =>
    one.buckets === undefined
      ? [`${name}${labelText(one.labels)} ${one.value}`]
      : histogramText(name, bounds, one),
  );
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ""].join("\n");
}

function histogramText(
  name: string,
  bounds: readonly number[],
  { labels, buckets = [], sum, value }: Series,
): string[] {
  let total = 0;
  const lines = [...bounds.map(String), "+Inf"].map((le, index) => {
    total += buckets[index] ?? 0;
    return `${name}_bucket${labelText({ ...labels, le })} ${total}`;
  });
  return [
    ...lines,
    `${name}_sum${labelText(labels)} ${sum ?? 0}`,
    `${name}_count${labelText(labels)} ${value}`,
  ];
}

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
