import { bucketBounds } from "../../api/signals.ts";
import type { Sample } from "../../envoy/readers/metrics.ts";
import { hostOfCluster, isFailure } from "./attempt.ts";

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
  /** Not cumulative over reports: Envoy's histograms are per flush. Per bucket, the last beyond all bounds. */
  readonly latencies: number[];
}

const families = {
  requests: "cluster.upstream_rq_completed",
  classes: "cluster.upstream_rq",
  connections: "cluster.upstream_cx_total",
  time: "cluster.upstream_rq_time",
  istioRequests: "fairlead.istio_requests_total",
  istioDuration: "fairlead.istio_request_duration_milliseconds",
} as const;

const wantedFamilies: ReadonlySet<string> = new Set(Object.values(families));

/** Which families of a proxy's report are read; the others are passed over unread. */
export const isWanted = (family: string): boolean => wantedFamilies.has(family);

/** A subject as a key of maps. */
export function keyOf(subject: Subject): string {
  return subject.side === "client"
    ? `client ${subject.host}`
    : `destination ${subject.namespace}/${subject.workload}`;
}

/** Sums one proxy's report by subject. */
export function countsOf(samples: readonly Sample[]): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const sample of samples) {
    const subject = subjectOf(sample);
    if (subject === undefined) continue;
    const key = keyOf(subject);
    let entry = counts.get(key);
    if (entry === undefined) {
      entry = {
        subject,
        requests: 0,
        failed: 0,
        connections: 0,
        latencies: new Array<number>(bucketBounds.length + 1).fill(0),
      };
      counts.set(key, entry);
    }
    add(entry, sample);
  }
  return counts;
}

function subjectOf({ family, labels }: Sample): Subject | undefined {
  if (family.startsWith("cluster.")) {
    const host = hostOfCluster(labels.get("cluster_name") ?? "");
    return host === undefined ? undefined : { side: "client", host };
  }
  if (labels.get("reporter") !== "destination") return undefined;
  const namespace = labels.get("destination_workload_namespace");
  const workload = labels.get("destination_workload");
  return namespace === undefined || workload === undefined
    ? undefined
    : { side: "destination", namespace, workload };
}

function add(counts: Counts, { family, labels, value }: Sample): void {
  if (value.kind === "histogram") {
    let below = 0;
    // Envoy's buckets are cumulative and in the order of `bucketBounds`, its default bounds.
    value.buckets.forEach((cumulative, index) => {
      if (index < bucketBounds.length)
        counts.latencies[index] = (counts.latencies[index] ?? 0) + cumulative - below;
      below = cumulative;
    });
    const last = bucketBounds.length;
    counts.latencies[last] = (counts.latencies[last] ?? 0) + Math.max(0, value.count - below);
    return;
  }
  switch (family) {
    case families.requests:
      counts.requests += value.total;
      return;
    case families.connections:
      counts.connections += value.total;
      return;
    case families.classes:
      if (labels.get("response_code_class") === "5xx") counts.failed += value.total;
      return;
    case families.istioRequests:
      addIstioRequests(counts, labels, value.total);
      return;
  }
}

function addIstioRequests(counts: Counts, labels: ReadonlyMap<string, string>, total: number): void {
  const flags = (labels.get("response_flags") ?? "").split(",");
  // The client went away before an answer: it says nothing about the version.
  if (flags.includes("DC") && labels.get("response_code") === "0") return;
  counts.requests += total;
  const grpc = labels.get("grpc_response_status");
  if (isFailure(Number(labels.get("response_code")), grpc ? Number(grpc) : undefined, flags))
    counts.failed += total;
}
