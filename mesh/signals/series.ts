/**
 * What the proxies report as Istio's metrics: the same names and labels that their own pages have, summed over all
 * proxies of a workload, so that queries written for a Prometheus are answered without one.
 */
import { bucketBounds } from "../../api/signals.ts";
import type { Clock } from "../../lib/clock.ts";
import { answerKinds, type Subject } from "./counts.ts";
import { type History, keptSeconds, type Past, type Total } from "./history.ts";

type Labels = ReadonlyMap<string, string>;

/** One series: epoch milliseconds and value, oldest first. */
export interface MeshSeriesPoints {
  readonly labels: Labels;
  readonly points: readonly (readonly [number, number])[];
}

/** The series of this replica; `analysis/promql` asks it. */
export interface MeshSeries {
  /** Milliseconds that are looked back at most. */
  readonly kept: number;
  /**
   * Series of a metric whose labels are wanted, with a point each second after `start` and up to `end` (epoch
   * milliseconds). The second that still goes on is left out.
   *
   * @param asked the labels that `wanted` looks at
   * @throws {RangeError} where what is kept cannot tell: a label that is not kept, statuses that are counted together
   */
  select(
    name: string,
    wanted: (labels: Labels) => boolean,
    start: number,
    end: number,
    asked?: readonly string[],
  ): readonly MeshSeriesPoints[];
  /** Names of the metrics. */
  readonly names: readonly string[];
}

const requests = "istio_requests_total";
const duration = "istio_request_duration_milliseconds";

/** One series of a subject: its labels beyond the subject's own, and where its value stands. */
interface Column {
  readonly labels: readonly (readonly [string, string])[];
  readonly value: (total: Total) => number;
  /** Statuses that are counted together in it. */
  readonly statuses?: readonly number[];
}

const destinationColumns: readonly Column[] = answerKinds.map(({ label, statuses }, kind) => ({
  labels: [["response_code", label]],
  statuses,
  value: ({ answers }) => answers[kind] ?? 0,
}));
const between = (from: number, to: number): readonly number[] =>
  Array.from({ length: to - from }, (_, index) => from + index);
/** Callers tell failures and the rest alone. */
const sourceColumns: readonly Column[] = [
  {
    labels: [["response_code", "2xx"]],
    statuses: between(100, 500),
    value: (total) => total.requests - total.failed,
  },
  { labels: [["response_code", "5xx"]], statuses: between(500, 600), value: (total) => total.failed },
];
const bucketColumns: readonly Column[] = [...bucketBounds.map(String), "+Inf"].map((le, index) => ({
  labels: [["le", le]],
  value: ({ buckets }) => {
    let sum = 0;
    for (let bucket = 0; bucket <= index; bucket++) sum += buckets[bucket] ?? 0;
    return sum;
  },
}));
const countColumns: readonly Column[] = bucketColumns.slice(-1).map(({ value }) => ({ labels: [], value }));

function columnsOf(name: string, side: Subject["side"]): readonly Column[] {
  switch (name) {
    case requests:
      return side === "destination" ? destinationColumns : sourceColumns;
    case `${duration}_bucket`:
      return bucketColumns;
    case `${duration}_count`:
      return countColumns;
    default:
      return [];
  }
}

/** Every label that some series has. */
const keptLabels: readonly string[] = [
  ...["reporter", "destination_workload", "destination_workload_namespace"],
  ...["destination_service", "destination_service_name", "destination_service_namespace"],
];

/** @throws {RangeError} naming a label that a query asks about and no series of this metric has */
function requireKept(name: string, asked: readonly string[]): void {
  const kept = [...keptLabels, name === requests ? "response_code" : "le"];
  const other = asked.find((label) => label !== "__name__" && !kept.includes(label));
  if (other !== undefined)
    throw new RangeError(
      `label \`${other}\` is not kept by the control plane (${kept.join(", ")} are): ask a prometheus that scrapes the proxies`,
    );
}

/** @throws {RangeError} where some of the statuses that are counted together are wanted and some are not */
function requireTold(columns: readonly Column[], own: Labels, wanted: (labels: Labels) => boolean): void {
  for (const { labels, statuses = [] } of columns) {
    const all = wanted(new Map([...own, ...labels]));
    const other = statuses.find(
      (status) => wanted(new Map([...own, ["response_code", String(status)]])) !== all,
    );
    if (other !== undefined)
      throw new RangeError(
        `the control plane does not tell response_code ${other} from others of ${labels[0]?.[1]}: ask a prometheus that scrapes the proxies`,
      );
  }
}

function labelsOf(subject: Subject): readonly (readonly [string, string])[] {
  if (subject.side === "destination") {
    return [
      ["reporter", "destination"],
      ["destination_workload", subject.workload],
      ["destination_workload_namespace", subject.namespace],
    ];
  }
  const [name = "", namespace = ""] = subject.host.split(".");
  return [
    ["reporter", "source"],
    ["destination_service", subject.host],
    ["destination_service_name", name],
    ["destination_service_namespace", namespace],
  ];
}

export function createSeries(history: History, clock: Clock): MeshSeries {
  const kept = keptSeconds * 1000;
  return {
    kept,
    names: [requests, `${duration}_bucket`, `${duration}_count`],
    select(name, wanted, start, end, asked = []) {
      if ([requests, `${duration}_bucket`, `${duration}_count`].includes(name)) requireKept(name, asked);
      const offset = Math.round(clock.now() - clock.monotonic());
      const complete = Math.floor(clock.monotonic() / 1000) - 1;
      const last = Math.min(complete, Math.floor((end - offset) / 1000) - 1);
      const first = Math.max(complete - keptSeconds, Math.floor((start - offset) / 1000));
      const subjects = new Map<string, Past[]>();
      for (const past of history.pasts(first * 1000)) {
        if (columnsOf(name, past.subject.side).length === 0) continue;
        const key = labelsOf(past.subject).join();
        subjects.set(key, [...(subjects.get(key) ?? []), past]);
      }
      const told = new Set<Subject["side"]>();
      return [...subjects.values()].flatMap((halves) => {
        const [one] = halves;
        if (one === undefined) return [];
        const { side } = one.subject;
        const own = labelsOf(one.subject);
        const columns = columnsOf(name, side)
          .map(({ labels, value }) => ({ labels: new Map([...own, ...labels]), value }))
          .filter(({ labels }) => wanted(labels));
        if (columns.length === 0) return [];
        // All other labels are wanted here, so that the answer is the same for every subject of this side.
        if (asked.includes("response_code") && !told.has(side))
          requireTold(columnsOf(name, side), new Map(own), wanted);
        told.add(side);
        return pointsOf(halves, columns, first, last, offset);
      });
    },
  };
}

/** The halves of a workload's pods together, a point at the end of each second from where they begin to count. */
function pointsOf(
  halves: readonly Past[],
  columns: readonly { readonly labels: Labels; readonly value: Column["value"] }[],
  first: number,
  last: number,
  offset: number,
): MeshSeriesPoints[] {
  const counted = columns.map(({ labels, value }) => ({ labels, value, points: [] as [number, number][] }));
  const walks = halves.map(({ before, seconds }) => ({
    now: valuesOf(before, columns),
    coming: seconds[Symbol.iterator](),
    next: undefined as { second: number; values: number[] } | undefined,
  }));
  const step = (walk: (typeof walks)[number]): void => {
    const { value, done } = walk.coming.next();
    walk.next = done === true ? undefined : { second: value.second, values: valuesOf(value.total, columns) };
  };
  for (const walk of walks) step(walk);
  const began = halves.some(({ before }) => before.requests > 0)
    ? first
    : // A counter is 0 before its first second.
      Math.max(first, Math.min(...walks.map(({ next }) => next?.second ?? Number.POSITIVE_INFINITY)) - 1);
  for (let second = began; second <= last; second++) {
    for (const walk of walks) {
      while (walk.next !== undefined && walk.next.second <= second) {
        walk.now = walk.next.values;
        step(walk);
      }
    }
    for (const [index, { points }] of counted.entries()) {
      const sum = walks.reduce((all, { now }) => all + (now[index] ?? 0), 0);
      points.push([(second + 1) * 1000 + offset, sum]);
    }
  }
  // A status that never came has no series, as on a proxy's page; a histogram has all of its buckets or none.
  const has = (points: readonly (readonly [number, number])[]): boolean => (points.at(-1)?.[1] ?? 0) > 0;
  const histogram = counted.some(({ labels, points }) => labels.has("le") && has(points));
  return counted
    .filter(({ labels, points }) => has(points) || (histogram && labels.has("le")))
    .map(({ labels, points }) => ({ labels, points }));
}

function valuesOf(total: Total, columns: readonly Pick<Column, "value">[]): number[] {
  return columns.map(({ value }) => value(total));
}
