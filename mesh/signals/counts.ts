import { bucketBounds } from "../../api/signals.ts";
import type { Sample } from "../../envoy/readers/otlp-metrics.ts";
import {
  clusterStatistics,
  destinationMetrics,
  exactMetric,
  exactStatuses,
  shieldRetries,
} from "../build/bootstrap-telemetry.ts";
import { hostOfCluster } from "../model/names.ts";
import { hostOfShield, readShieldStatistic, type ShieldPart } from "./shield.ts";

/** Whose traffic a count is: a host as its callers see it, or a workload as its own proxies see it. */
export type Subject =
  | { readonly side: "client"; readonly host: string; readonly shield?: ShieldPart }
  | { readonly side: "destination"; readonly namespace: string; readonly workload: string };

/** Answers that are counted apart. */
export interface AnswerKind {
  /** As `response_code` names it: a status, or `4xx` for those of a class that are not told one by one. */
  readonly label: string;
  /** The statuses that it stands for. */
  readonly statuses: readonly number[];
}

/** First the rest of each class, 1xx to 5xx, then what is told by its exact status. */
export const answerKinds: readonly AnswerKind[] = [
  ...[1, 2, 3, 4, 5].map((hundred) => ({
    label: `${hundred}xx`,
    statuses: Array.from({ length: 100 }, (_, index) => hundred * 100 + index).filter(
      (status) => !(exactStatuses as readonly number[]).includes(status),
    ),
  })),
  ...exactStatuses.map((status) => ({ label: String(status), statuses: [status] })),
];

/** What one report says of one subject: cumulative counters, and the latencies seen since the report before. */
export interface Counts {
  readonly subject: Subject;
  requests: number;
  failed: number;
  connections: number;
  /** Requests by {@link answerKinds}; destinations only. */
  readonly answers: number[];
  /** Not cumulative over reports: per bucket, the last beyond all bounds. */
  readonly latencies: number[];
}

/** Answers of the proxy's own workload. */
interface OwnAnswers {
  readonly failed: boolean;
  /** Index in {@link answerKinds}. */
  readonly kind: number;
}

/** Where in {@link answerKinds} each class of answers counts. A gRPC failure comes with HTTP status 200, no answer with none. */
const classes = {
  failedGrpc: { failed: true, kind: answerKinds.findIndex(({ label }) => label === "200") },
  noAnswer: { failed: true, kind: 4 },
  status5xx: { failed: true, kind: 4 },
  status4xx: { failed: false, kind: 3 },
  status3xx: { failed: false, kind: 2 },
  status2xx: { failed: false, kind: 1 },
  other: { failed: false, kind: 0 },
} as const satisfies Record<Exclude<keyof typeof destinationMetrics, "time">, OwnAnswers>;

/** The workload that a proxy stands before. */
export interface ReportingWorkload {
  readonly namespace: string;
  readonly workload: string;
}

/** A subject as a key of maps. */
export function keyOf(subject: Subject): string {
  if (subject.side === "client") {
    const { host, shield } = subject;
    if (shield === undefined) return `client ${host}`;
    return `client ${host} ${shield.kind} ${shield.kind === "retries" ? "" : shield.workload}`;
  }
  return `destination ${subject.namespace}/${subject.workload}`;
}

/** Sums one proxy's report by subject; what its own workload answered counts for `self`, where that is known. */
export function countsOf(
  samples: readonly Sample[],
  self: ReportingWorkload | undefined,
): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  for (const sample of samples) {
    const { name } = sample;
    const answers = ownAnswers.get(name);
    if (answers !== undefined || name === destinationMetrics.time) {
      if (self !== undefined) addOwn(entryOf(counts, { side: "destination", ...self }), answers, sample);
      continue;
    }
    const [host, statistic] = clusterStatistic(name);
    if (host !== undefined) addClient(entryOf(counts, { side: "client", host }), statistic, sample);
    else addShield(counts, sample);
  }
  return counts;
}

/** By their names on the wire. */
const ownAnswers: ReadonlyMap<string, OwnAnswers> = new Map<string, OwnAnswers>([
  ...Object.entries(classes).map(([what, answers]): [string, OwnAnswers] => [
    destinationMetrics[what as keyof typeof classes],
    answers,
  ]),
  ...exactStatuses.map((status): [string, OwnAnswers] => {
    const kind = answerKinds.findIndex(({ label }) => label === String(status));
    return [exactMetric(status), { failed: status >= 500, kind }];
  }),
]);

function entryOf(counts: Map<string, Counts>, subject: Subject): Counts {
  const key = keyOf(subject);
  const known = counts.get(key);
  if (known !== undefined) return known;
  const entry: Counts = {
    subject,
    requests: 0,
    failed: 0,
    connections: 0,
    answers: subject.side === "client" ? [] : answerKinds.map(() => 0),
    latencies: Array.from({ length: bucketBounds.length + 1 }, () => 0),
  };
  counts.set(key, entry);
  return entry;
}

/** Attempts at a shield's cluster, and how many failed ones another followed. */
function addShield(counts: Map<string, Counts>, { name, value }: Sample): void {
  const cluster = retriesOf.exec(name)?.[1];
  const host = cluster === undefined ? undefined : hostOfShield(cluster);
  if (host !== undefined && value.kind === "counter") {
    entryOf(counts, { side: "client", host, shield: { kind: "retries" } }).requests += value.total;
    return;
  }
  const told = readShieldStatistic(name);
  if (told === undefined || told.answer === "given up") return;
  const entry = entryOf(counts, { side: "client", host: told.host, shield: told.part });
  if (value.kind === "histogram") addLatencies(entry, value.buckets);
  else {
    entry.requests += value.total;
    if (told.answer === "failed") entry.failed += value.total;
  }
}

const retriesOf = new RegExp(`^cluster\\.(.+);\\.${shieldRetries}$`);

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

function addOwn(counts: Counts, answers: OwnAnswers | undefined, { value }: Sample): void {
  if (value.kind === "histogram") addLatencies(counts, value.buckets);
  else if (answers !== undefined) {
    counts.requests += value.total;
    if (answers.failed) counts.failed += value.total;
    counts.answers[answers.kind] = (counts.answers[answers.kind] ?? 0) + value.total;
  }
}

/** Envoy's buckets are those of `bucketBounds`, its default bounds; others are not understood. */
function addLatencies(counts: Counts, buckets: readonly number[]): void {
  if (buckets.length !== counts.latencies.length) return;
  for (const [bucket, count] of buckets.entries())
    counts.latencies[bucket] = (counts.latencies[bucket] ?? 0) + count;
}
