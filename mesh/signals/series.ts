/**
 * What the proxies report as Istio's metrics: the same names and labels that their own pages have, summed over all
 * proxies of a workload, so that queries written for a Prometheus are answered without one.
 */
import { bucketBounds } from "../../api/signals.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Subject } from "./counts.ts";
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
   */
  select(
    name: string,
    wanted: (labels: Labels) => boolean,
    start: number,
    end: number,
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
}

const failedClass = 5;

/** The exact status is not reported, so the first of each class stands for all of it. */
const destinationColumns: readonly Column[] = [1, 2, 3, 4, 5].map((status) => ({
  labels: [["response_code", `${status}00`]],
  value: ({ classes }) => classes[status] ?? 0,
}));
const sourceColumns: readonly Column[] = [
  { labels: [["response_code", "200"]], value: (total) => total.requests - total.failed },
  { labels: [["response_code", `${failedClass}00`]], value: (total) => total.failed },
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
    select(name, wanted, start, end) {
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
      return [...subjects.values()].flatMap((halves) => {
        const [one] = halves;
        if (one === undefined) return [];
        const own = labelsOf(one.subject);
        const columns = columnsOf(name, one.subject.side)
          .map(({ labels, value }) => ({ labels: new Map([...own, ...labels]), value }))
          .filter(({ labels }) => wanted(labels));
        return columns.length === 0 ? [] : pointsOf(halves, columns, first, last, offset);
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
