import { bucketBounds } from "../../api/signals.ts";
import type { Sample } from "../../envoy/readers/otlp-metrics.ts";
import { clusterStatistics, destinationMetrics } from "../build/bootstrap-telemetry.ts";
import { hostOfCluster } from "./attempt.ts";

/** Whose traffic a count is: a host as its callers see it, or a workload as its own proxies see it. */
export type Subject =
  | { readonly side: "client"; readonly host: string }
  | { readonly side: "destination"; readonly namespace: string; readonly workload: string };

/** What one report says of one subject: cumulative counters, and the latencies seen since the report before. */
export interface Counts {
  readonly subject: Subject;
  requests: number;
  failed: number;
  connections: number;
  /** Requests by class of their status, 1xx to 5xx at 1 to 5; destinations only. */
  readonly classes: number[];
  /** Not cumulative over reports: per bucket, the last beyond all bounds. */
  readonly latencies: number[];
}

/** The workload that a proxy stands before. */
export interface ReportingWorkload {
  readonly namespace: string;
  readonly workload: string;
}

/** A subject as a key of maps. */
export function keyOf(subject: Subject): string {
  return subject.side === "client"
    ? `client ${subject.host}`
    : `destination ${subject.namespace}/${subject.workload}`;
}

/** Sums one proxy's report by subject; what its own workload answered counts for `self`, where that is known. */
export function countsOf(
  samples: readonly Sample[],
  self: ReportingWorkload | undefined,
): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const sample of samples) {
    const { name } = sample;
    const what = ownMetrics.get(name);
    if (what !== undefined) {
      if (self !== undefined) addOwn(entryOf(counts, { side: "destination", ...self }), what, sample);
      continue;
    }
    const [host, statistic] = clusterStatistic(name);
    if (host !== undefined) addClient(entryOf(counts, { side: "client", host }), statistic, sample);
  }
  return counts;
}

/** `destinationMetrics`, from the name on the wire. */
const ownMetrics: ReadonlyMap<string, keyof typeof destinationMetrics> = new Map(
  Object.entries(destinationMetrics).map(([what, name]) => [name, what as keyof typeof destinationMetrics]),
);

function entryOf(counts: Map<string, Counts>, subject: Subject): Counts {
  const key = keyOf(subject);
  const known = counts.get(key);
  if (known !== undefined) return known;
  const entry: Counts = {
    subject,
    requests: 0,
    failed: 0,
    connections: 0,
    classes: [0, 0, 0, 0, 0, 0],
    latencies: Array.from({ length: bucketBounds.length + 1 }, () => 0),
  };
  counts.set(key, entry);
  return entry;
}

/** Host and statistic of `cluster.outbound|80||shop.demo.svc.cluster.local;.upstream_rq_5xx`. */
function clusterStatistic(name: string): [host: string | undefined, statistic: string] {
  const end = name.lastIndexOf(";.");
  return name.startsWith("cluster.") && end > 0
    ? [hostOfCluster(name.slice("cluster.".length, end)), name.slice(end + 2)]
    : [undefined, ""];
}

function addClient(counts: Counts, statistic: string, { value }: Sample): void {
  if (value.kind === "histogram") {
    if (statistic === clusterStatistics.time) addLatencies(counts, value.buckets);
    return;
  }
  if (statistic === clusterStatistics.requests) counts.requests += value.total;
  else if (statistic === clusterStatistics.failed) counts.failed += value.total;
  else if (statistic === clusterStatistics.connections) counts.connections += value.total;
}

function addOwn(counts: Counts, what: keyof typeof destinationMetrics, { value }: Sample): void {
  if (value.kind === "histogram") {
    if (what === "time") addLatencies(counts, value.buckets);
    return;
  }
  if (what === "time") return;
  const { failed, status } = destinationClasses[what];
  counts.requests += value.total;
  if (failed) counts.failed += value.total;
  counts.classes[status] = (counts.classes[status] ?? 0) + value.total;
}

/** What each class of answers counts as. A gRPC failure comes with HTTP status 200, no answer with none. */
const destinationClasses = {
  failedGrpc: { failed: true, status: 2 },
  noAnswer: { failed: true, status: 5 },
  status5xx: { failed: true, status: 5 },
  status4xx: { failed: false, status: 4 },
  status3xx: { failed: false, status: 3 },
  status2xx: { failed: false, status: 2 },
  other: { failed: false, status: 1 },
} as const satisfies Record<
  Exclude<keyof typeof destinationMetrics, "time">,
  { failed: boolean; status: number }
>;

/** Envoy's buckets are those of `bucketBounds`, its default bounds; others are not understood. */
function addLatencies(counts: Counts, buckets: readonly number[]): void {
  if (buckets.length !== counts.latencies.length) return;
  for (const [bucket, count] of buckets.entries())
    counts.latencies[bucket] = (counts.latencies[bucket] ?? 0) + count;
}
