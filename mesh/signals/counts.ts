import { bucketBounds } from "../../api/signals.ts";
import type { Sample } from "../../envoy/readers/otlp-metrics.ts";
import {
  clusterStatistics,
  destinationMetrics,
  exactMetric,
  exactStatuses,
  shieldOverflow,
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
  /** Index in {@link answerKinds} → requests; destinations only. */
  readonly answers: Map<number, number>;
  /** Not cumulative over reports: per bucket, the last beyond all bounds; undefined where the report has none. */
  latencies: readonly number[] | undefined;
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
    return `client ${host} ${shield.kind} ${"workload" in shield ? shield.workload : ""}`;
  }
  return `destination ${subject.namespace}/${subject.workload}`;
}

/** Sums one proxy's report by subject; what its own workload answered counts for `self`, where that is known. */
export function countsOf(
  samples: readonly Sample[],
  self: ReportingWorkload | undefined,
): Map<string, Counts> {
  const counts = new Map<string, Counts>();
  let own: Counts | undefined;
  for (const { name, value } of samples) {
    const meaning = meaningOf(name);
    if (meaning === undefined) continue;
    switch (meaning.what) {
      case "own":
        if (self === undefined) break;
        own ??= ownCounts(counts, self);
        addOwn(own, meaning.answers, value);
        break;
      case "client":
        addClient(entryOf(counts, meaning.key, meaning.subject), meaning.statistic, value);
        break;
      case "retries":
        if (value.kind === "counter") entryOf(counts, meaning.key, meaning.subject).requests += value.total;
        break;
      case "shield":
        addShield(entryOf(counts, meaning.key, meaning.subject), meaning.failed, value);
        if (meaning.lost !== undefined && value.kind === "counter")
          entryOf(counts, meaning.lost.key, meaning.lost.subject).requests += value.total;
        break;
    }
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

/** What a metric's name says. */
type Meaning =
  | { readonly what: "own"; readonly answers: OwnAnswers | undefined }
  | (Client & { readonly what: "client"; readonly statistic: string })
  /** Failed attempts at a shield's cluster that another followed, or that none could. */
  | (Client & { readonly what: "retries" })
  /** Attempts at a shield's cluster; `lost` where it is the last attempt that failed. */
  | (Client & { readonly what: "shield"; readonly failed: boolean; readonly lost: Client | undefined });

interface Client {
  readonly key: string;
  readonly subject: Subject;
}

/** The same few names come from every proxy each second, so they are read once. */
const meanings = new Map<string, Meaning>();
const mostMeanings = 20_000;
/** Characters. Longer ones, which no host needs, are read each time. */
const longestName = 500;

function meaningOf(name: string): Meaning | undefined {
  const known = meanings.get(name);
  if (known !== undefined) return known;
  const meaning = readName(name);
  if (meaning !== undefined && name.length <= longestName) {
    if (meanings.size >= mostMeanings) meanings.clear();
    meanings.set(name, meaning);
  }
  return meaning;
}

function readName(name: string): Meaning | undefined {
  const answers = ownAnswers.get(name);
  if (answers !== undefined || name === destinationMetrics.time) return { what: "own", answers };
  const [cluster, statistic] = clusterStatistic(name);
  const host = cluster === undefined ? undefined : hostOfCluster(cluster);
  if (host !== undefined) return { what: "client", ...clientOf(host), statistic };
  const shielded = cluster === undefined ? undefined : hostOfShield(cluster);
  if (shielded !== undefined) {
    if (statistic === shieldRetries) return { what: "retries", ...clientOf(shielded, { kind: "retries" }) };
    if (statistic === shieldOverflow) return { what: "retries", ...clientOf(shielded, { kind: "lost" }) };
    return undefined;
  }
  const told = readShieldStatistic(name);
  if (told === undefined || told.answer === "given up") return undefined;
  const lost = told.isLast ? clientOf(told.host, { kind: "lost" }) : undefined;
  return { what: "shield", ...clientOf(told.host, told.part), failed: told.answer === "failed", lost };
}

function clientOf(host: string, shield?: ShieldPart): Client {
  const subject: Subject = { side: "client", host, ...(shield && { shield }) };
  return { key: keyOf(subject), subject };
}

/** Cluster and statistic of `cluster.outbound|80||shop.demo.svc.cluster.local;.upstream_rq_5xx`. */
function clusterStatistic(name: string): [cluster: string | undefined, statistic: string] {
  const end = name.lastIndexOf(";.");
  return name.startsWith("cluster.") && end > 0
    ? [name.slice("cluster.".length, end), name.slice(end + 2)]
    : [undefined, ""];
}

function entryOf(counts: Map<string, Counts>, key: string, subject: Subject): Counts {
  const known = counts.get(key);
  if (known !== undefined) return known;
  const entry: Counts = {
    subject,
    requests: 0,
    failed: 0,
    connections: 0,
    answers: new Map(),
    latencies: undefined,
  };
  counts.set(key, entry);
  return entry;
}

function ownCounts(counts: Map<string, Counts>, self: ReportingWorkload): Counts {
  const subject: Subject = { side: "destination", ...self };
  return entryOf(counts, keyOf(subject), subject);
}

function addClient(counts: Counts, statistic: string, value: Sample["value"]): void {
  if (value.kind === "histogram") {
    if (statistic === clusterStatistics.time) addLatencies(counts, value.buckets);
    return;
  }
  if (statistic === clusterStatistics.requests) counts.requests += value.total;
  else if (statistic === clusterStatistics.failed) counts.failed += value.total;
  else if (statistic === clusterStatistics.connections) counts.connections += value.total;
}

function addShield(counts: Counts, failed: boolean, value: Sample["value"]): void {
  if (value.kind === "histogram") addLatencies(counts, value.buckets);
  else {
    counts.requests += value.total;
    if (failed) counts.failed += value.total;
  }
}

function addOwn(counts: Counts, answers: OwnAnswers | undefined, value: Sample["value"]): void {
  if (value.kind === "histogram") addLatencies(counts, value.buckets);
  else if (answers !== undefined) {
    counts.requests += value.total;
    if (answers.failed) counts.failed += value.total;
    counts.answers.set(answers.kind, (counts.answers.get(answers.kind) ?? 0) + value.total);
  }
}

/** Envoy's buckets are those of `bucketBounds`, its default bounds; others are not understood. */
function addLatencies(counts: Counts, buckets: readonly number[]): void {
  if (buckets.length !== bucketBounds.length + 1) return;
  const before = counts.latencies;
  counts.latencies =
    before === undefined ? buckets : before.map((count, bucket) => count + (buckets[bucket] ?? 0));
}
