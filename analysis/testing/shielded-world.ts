/** Callers of a shielded canary, second by second: what their proxies, the canary's own and a Prometheus tell of it. */
import { type Arm, type Attempt, bucketBounds, type Signal, type Window } from "../../api/signals.ts";
import type { Percent } from "../../lib/units.ts";
import { evaluateQuery } from "../promql/evaluate.ts";
import type { SeriesSource } from "../promql/value.ts";
import type { Provider } from "../providers/types.ts";
import { binomial, poisson } from "../simulate/counts.ts";
import type { Random } from "../simulate/random.ts";

/**
 * What ails every attempt at the canary. `none`: nothing; `no endpoint`: the callers' proxies tell of attempts that found
 * no pod; `no trace`: they do not even that; `grpc`: calls that no shield covers end with status 14, which only the
 * canary's own proxy counts as failed.
 */
export const faults = ["none", "500", "reset", "refused", "hang", "no endpoint", "no trace", "grpc"] as const;
export type Fault = (typeof faults)[number];

/** What an attempt at the canary leaves: at the caller's proxy, and at the canary's own where it arrives. */
interface Trace {
  readonly caller: string;
  readonly own?: string;
}

const traces: Readonly<Record<Exclude<Fault, "no trace">, Trace>> = {
  none: { caller: "200", own: "200" },
  "500": { caller: "500", own: "500" },
  // The canary's own proxy answers for its application.
  reset: { caller: "503", own: "503" },
  refused: { caller: "0" },
  // Given up by the caller: no answer at all where it arrived.
  hang: { caller: "504", own: "0" },
  // The first attempt is the primary's, which answers.
  "no endpoint": { caller: "200" },
  grpc: { caller: "200", own: "200" },
};
const hangAfter = 300;
const shield = "shield|80||shop-canary.demo.svc.cluster.local";

export interface ShieldedWorld {
  /** One second at `weight` that ends at `at`: its signals. */
  second(at: number, weight: Percent): readonly Signal[];
  /** What scraped all proxies. */
  readonly prometheus: Provider;
}

interface Series {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  total: number;
  readonly points: [number, number][];
}

export function createShieldedWorld(
  random: Random,
  {
    fault,
    rate,
    start,
  }: { readonly fault: (at: number) => Fault; readonly rate: number; readonly start: number },
): ShieldedWorld {
  const windows = new Map<string, { requests: number; failed: number; buckets: number[] }>();
  const series = new Map<string, Series>();
  let seq = 0;
  let now = start;
  const count = (name: string, labels: Readonly<Record<string, string>>, more: number): void => {
    const key = JSON.stringify([name, labels]);
    const known = series.get(key) ?? {
      ...{ name, labels: new Map(Object.entries(labels)), total: 0 },
      points: [[now - 1000, 0]] as [number, number][],
    };
    series.set(key, known);
    known.total += more;
  };
  const window = (
    arm: Arm,
    side: Window["side"],
    requests: number,
    failed: number,
    slow: boolean,
  ): Window => {
    const key = `${arm} ${side}`;
    const sum = windows.get(key) ?? {
      ...{ requests: 0, failed: 0, buckets: Array.from({ length: bucketBounds.length + 1 }, () => 0) },
    };
    windows.set(key, sum);
    sum.requests += requests;
    sum.failed += failed;
    const bucket = bucketBounds.findIndex((bound) => bound >= (slow ? hangAfter : 50));
    sum.buckets[bucket] = (sum.buckets[bucket] ?? 0) + requests;
    return {
      ...{ kind: "window", source: { replica: "r", proxy: `${arm} ${side}`, start: start - 1 }, seq },
      ...{ at: now - 200, arm, side, half: 0, connections: 4 },
      ...{ requests: sum.requests, failed: sum.failed, buckets: [...sum.buckets] },
    };
  };
  const attempt = (arm: Arm, failed: boolean, index: number, times: number): Attempt => ({
    ...{ kind: "attempt", source: { replica: "r", proxy: "caller", start: start - 1 }, arm, failed },
    ...{
      at: now - 900 + (800 * index) / 40,
      status: failed ? 500 : 200,
      flags: [],
      connection: `c${index % 4}`,
    },
    ...(times > 1 && { times }),
  });
  const workload = (name: string) => ({
    destination_workload: name,
    destination_workload_namespace: "demo",
  });

  return {
    second(at, weight) {
      now = at;
      seq++;
      const ill = fault(at);
      const all = poisson(random, rate);
      const sent = binomial(random, all, weight / 100);
      const canary = ill === "no trace" ? 0 : sent;
      const { caller, own } = traces[ill === "no trace" ? "none" : ill];
      const failed = ["none", "no trace", "grpc"].includes(ill) ? 0 : canary;
      const ownFailed = ill === "grpc" || own?.startsWith("5") === true ? canary : 0;
      const slow = ill === "hang";
      for (const [name, code, attempt, attempts] of [
        [ill === "no endpoint" ? "shop-primary" : "shop", caller, "1", canary],
        ["shop-primary", "200", "2", ill === "no endpoint" ? 0 : failed],
      ] as const) {
        if (attempts === 0 || ill === "grpc") continue;
        const flags = code === "0" ? "UF" : "-";
        const told = { ...workload(name), grpc_response_status: "", response_flags: flags };
        const labels = { shield, attempt, ...told };
        count("fairlead_attempts_total", { ...labels, response_code: code }, attempts);
        const late = slow && name === "shop";
        for (const le of ["50", "500", "+Inf"])
          count(
            "fairlead_attempt_duration_milliseconds_bucket",
            { ...labels, le },
            late && le === "50" ? 0 : attempts,
          );
      }
      if (own !== undefined && canary > 0) {
        const labels = { reporter: "destination", ...workload("shop") };
        count("istio_requests_total", { ...labels, response_code: own }, canary);
        for (const le of ["50", "500", "+Inf"])
          count(
            "istio_request_duration_milliseconds_bucket",
            { ...labels, le },
            slow && le === "50" ? 0 : canary,
          );
      }
      for (const one of series.values()) one.points.push([at, one.total]);
      const told = Array.from({ length: Math.min(canary, 40) }, (_, index) =>
        attempt("canary", failed > 0 || ownFailed > 0, index, 1),
      );
      return [
        window("canary", "client", canary, failed, slow),
        window("primary", "client", all - canary, 0, false),
        ...(own === undefined ? [] : [window("canary", "destination", canary, ownFailed, slow)]),
        // The rescues arrive there as well.
        window("primary", "destination", all - canary + failed, 0, false),
        ...[attempt("primary", false, 0, 50), ...told].toSorted((a, b) => a.at - b.at),
      ];
    },
    prometheus: {
      name: "a prometheus",
      async query(query) {
        const source: SeriesSource = {
          kept: 600_000,
          select: (name, wanted, from, to) =>
            [...series.values()]
              .filter((one) => one.name === name && wanted(one.labels))
              .map(({ labels, points }) => ({
                labels,
                points: points.filter(([moment]) => moment > from && moment <= to),
              })),
        };
        const value = evaluateQuery(query, now, source);
        if (value.kind !== "vector") return { kind: "error", reason: value.kind };
        const [sample] = value.samples;
        return sample === undefined || Number.isNaN(sample.value)
          ? { kind: "no-data", reason: "no series" }
          : { kind: "value", value: sample.value };
      },
    },
  };
}
