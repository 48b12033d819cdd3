/** The PromQL subset and the control plane's query API beside a real Prometheus (Debian's package `prometheus`). */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { istioQueries } from "../../analysis/checks/istio.ts";
import { shieldQueries } from "../../analysis/checks/shield-queries.ts";
import { answerApi } from "../../analysis/promql/api.ts";
import type { LabelSet, RangeSeries, SeriesSource } from "../../analysis/promql/value.ts";
import { createPrometheus } from "../../analysis/providers/prometheus.ts";
import { serveMonitoring } from "../../cli/up/monitoring.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { prometheusMissing, type RunningPrometheus, startPrometheus } from "./support/prometheus.ts";

interface NamedSeries extends RangeSeries {
  readonly name: string;
}

/** An hour ago, on no round second, so that no sample lies on the edge of a range. */
const end = Math.floor(Date.now() / 1000) * 1000 - 3_600_000 + 337;

/** A small generator with a seed: the same samples at each run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Ten minutes of counters, about each second, with resets, gaps and series that begin late or end early. */
function makeSamples(): NamedSeries[] {
  const series: NamedSeries[] = [];
  const next = random(7);
  const add = (
    name: string,
    labels: Record<string, string>,
    perSecond: number,
    shape: "steady" | "reset" | "gap" | "late" | "early",
  ): void => {
    const points: [number, number][] = [];
    let value = Math.floor(next() * 50);
    for (let second = 0; second < 600; second++) {
      value += Math.floor(perSecond * 2 * next());
      if (shape === "reset" && second % 173 === 100) value = Math.floor(next() * 3);
      if (shape === "gap" && second > 520 && second < 575) continue;
      if (shape === "late" && second < 565) continue;
      if (shape === "early" && second > 580) continue;
      // Never on the edge of a range: Prometheus 2 takes such a sample in, 3 and we do not.
      points.push([end - (600 - second) * 1000 + 1 + Math.floor(next() * 400), value]);
    }
    series.push({ name, labels: new Map(Object.entries(labels)), points });
  };
  for (const workload of ["shop", "shop-primary", "cart"]) {
    const own = {
      reporter: "destination",
      destination_workload_namespace: "demo",
      destination_workload: workload,
    };
    add("istio_requests_total", { ...own, response_code: "200" }, 40, "steady");
    add("istio_requests_total", { ...own, response_code: "404" }, 3, "late");
    add("istio_requests_total", { ...own, response_code: "503" }, 2, workload === "shop" ? "reset" : "gap");
    let perSecond = 0;
    for (const le of ["1", "5", "25", "100", "250", "500", "1000", "+Inf"]) {
      perSecond += Math.floor(next() * 8);
      add("istio_request_duration_milliseconds_bucket", { ...own, le }, perSecond, "steady");
    }
  }
  // Attempts at a shielded canary, by its callers' proxies.
  const shield = "shield|80||shop-canary.demo.svc.cluster.local";
  for (const [workload, attempt, code, flags, grpc] of [
    ["shop", "1", "200", "-", ""],
    ["shop", "1", "503", "UC", ""],
    ["shop", "1", "0", "UF", ""],
    ["shop", "1", "0", "-", ""],
    ["shop", "1", "200", "-", "14"],
    ["shop-primary", "1", "200", "-", ""],
    ["shop-primary", "2", "200", "-", ""],
  ] as const) {
    const told = { response_code: code, response_flags: flags, grpc_response_status: grpc };
    const at = { destination_workload: workload, destination_workload_namespace: "demo" };
    add("fairlead_attempts_total", { shield, attempt, ...at, ...told }, 1 + Math.floor(next() * 9), "steady");
  }
  let attemptsPerSecond = 0;
  for (const le of ["5", "100", "500", "+Inf"]) {
    attemptsPerSecond += 1 + Math.floor(next() * 8);
    const at = { destination_workload: "shop", destination_workload_namespace: "demo" };
    add(
      "fairlead_attempt_duration_milliseconds_bucket",
      { shield, attempt: "1", ...at, le },
      attemptsPerSecond,
      "steady",
    );
  }
  add("temperature", { room: "a" }, 1, "early");
  return series;
}

const samples = makeSamples();

const source: SeriesSource = {
  kept: 3_600_000,
  select: (name: string, wanted: (labels: LabelSet) => boolean, from: number, to: number) =>
    samples
      .filter((series) => series.name === name && wanted(series.labels))
      .map(({ labels, points }) => ({ labels, points: points.filter(([at]) => at > from && at <= to) })),
};

function openMetrics(): string {
  const lines = samples.flatMap(({ name, labels, points }) => {
    const pairs = [...labels].map(([label, value]) => `${label}="${value}"`).join();
    return points.map(([at, value]) => `${name}{${pairs}} ${value} ${at / 1000}`);
  });
  return `${lines.join("\n")}\n# EOF\n`;
}

const filled = (template: string, interval: string): string =>
  template
    .replaceAll("{{ namespace }}", "demo")
    .replaceAll("{{ target }}", "shop")
    .replaceAll("{{ service }}", "shop")
    .replaceAll("{{ interval }}", interval);

const own = 'reporter="destination",destination_workload="shop"';
const queries: readonly string[] = [
  ...["30s", "1m", "5m"].flatMap((interval) =>
    [...Object.values(istioQueries), ...Object.values(shieldQueries)].map((query) => filled(query, interval)),
  ),
  `sum(rate(istio_requests_total[1m])) by (destination_workload)`,
  `sum by (response_code) (increase(istio_requests_total{${own}}[2m]))`,
  `sum without (reporter, response_code) (rate(istio_requests_total[90s]))`,
  `increase(istio_requests_total{response_code="503"}[5m])`,
  `rate(istio_requests_total{response_code="503"}[30s])`,
  `rate(istio_requests_total{response_code="404"}[1m])`,
  `irate(istio_requests_total{${own}}[1m])`,
  `delta(temperature[1m])`,
  `temperature`,
  `temperature offset 1m`,
  `sum(rate(istio_requests_total{response_code=~"5.*|404"}[1m])) / sum(rate(istio_requests_total[1m])) * 100`,
  `sum(rate(istio_requests_total{response_code=~"5.."}[1m])) by (destination_workload) / sum(rate(istio_requests_total[1m])) by (destination_workload)`,
  `rate(istio_requests_total{response_code="503"}[1m]) / ignoring(response_code) rate(istio_requests_total{response_code="200"}[1m])`,
  `histogram_quantile(0.5, sum(rate(istio_request_duration_milliseconds_bucket[1m])) by (le, destination_workload))`,
  `histogram_quantile(0.999, rate(istio_request_duration_milliseconds_bucket{${own}}[1m]))`,
  `sum(rate(istio_request_duration_milliseconds_bucket{${own},le="250"}[1m])) / sum(rate(istio_request_duration_milliseconds_bucket{${own},le="+Inf"}[1m]))`,
  `100 - (sum(rate(istio_requests_total{response_code="503"}[1m])) or vector(0)) * 100`,
  `sum(rate(absent_metric[1m])) or vector(7)`,
  `sum(rate(absent_metric[1m]))`,
  `absent(absent_metric{a="b"})`,
  `count(istio_requests_total) by (response_code)`,
  `max(rate(istio_requests_total[1m])) - min(rate(istio_requests_total[1m]))`,
  `avg(rate(istio_requests_total[1m])) > 5`,
  `rate(istio_requests_total[1m]) > bool 5`,
  `istio_requests_total{destination_workload!~"shop.*",response_code!="200"}`,
  `clamp_max(sum(rate(istio_requests_total[1m])), 10) + ceil(2.1 * vector(scalar(vector(2))))`,
  `-sum(rate(istio_requests_total[1m])) ^ 2 % 7`,
  `sum(rate(istio_requests_total[1m])) and sum(rate(istio_requests_total[2m]))`,
  `istio_requests_total{response_code="404"} unless istio_requests_total{destination_workload="shop"}`,
  `vector(0) / 0`,
  `vector(1) / 0`,
  `1 + 2 * 3 ^ 2 > bool 3`,
  "1e3",
  "0x10 - 1",
];

interface Result {
  readonly resultType: string;
  readonly result: unknown;
}

/** Series by their labels; numbers of one double's last digits apart are the same. */
function comparable({ resultType, result }: Result): unknown {
  const number = (text: unknown): unknown => {
    const value = Number(text);
    return Number.isFinite(value) ? Number(value.toPrecision(9)) : text;
  };
  if (resultType === "scalar" && Array.isArray(result)) return number(result[1]);
  if (!Array.isArray(result)) throw new Error("no result");
  const series = result.map(
    (one: { metric: Record<string, string>; value?: unknown[]; values?: unknown[][] }) => [
      JSON.stringify(Object.entries(one.metric).sort(([a], [b]) => (a < b ? -1 : 1))),
      one.values?.map(([at, value]) => [at, number(value)]) ?? number(one.value?.[1]),
    ],
  );
  return series.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

describe.skipIf(prometheusMissing)(
  "a real prometheus (needs `prometheus` on PATH: apt-get install prometheus)",
  () => {
    let prometheus: RunningPrometheus;

    beforeAll(async () => {
      prometheus = await startPrometheus({ samples: openMetrics() });
    }, 90_000);
    afterAll(() => prometheus.stop());

    const both = async (path: string, parameters: Record<string, string>) => {
      const search = new URLSearchParams(parameters);
      const [ours, answer] = await Promise.all([
        answerApi(path, search, source, end),
        fetch(`${prometheus.address}${path}?${search.toString()}`),
      ]);
      const theirs = (await answer.json()) as { data: Result };
      expect([ours?.status, parameters]).toEqual([answer.status, parameters]);
      const { data } = (ours?.body ?? {}) as { data: Result };
      return [comparable(data), comparable(theirs.data)] as const;
    };

    test.for(queries)("the same samples give the same answer: %s", async (query) => {
      const [ours, theirs] = await both("/api/v1/query", { query, time: String(end / 1000) });
      expect(ours).toEqual(theirs);
    });

    test.for(queries.slice(0, 20))("and over a range: %s", async (query) => {
      const range = { start: String(end / 1000 - 240), end: String(end / 1000), step: "20s" };
      const [ours, theirs] = await both("/api/v1/query_range", { query, ...range });
      expect(ours).toEqual(theirs);
    });

    test.for(["sum(", "x{a=b}", "rate(x)", "", "1 > 2", "nofunction(x)", "x{a=~'('}"])(
      "what it refuses we refuse: %s",
      async (query) => {
        const answer = await fetch(
          `${prometheus.address}/api/v1/query?${new URLSearchParams({ query }).toString()}`,
        );
        const ours = await answerApi("/api/v1/query", new URLSearchParams({ query }), source, end);
        expect([answer.status, ours?.status]).toEqual([400, 400]);
        expect(ours?.body).toMatchObject({ status: "error", errorType: "bad_data" });
      },
    );
  },
);

test("the prometheus provider asks the control plane as it asks a prometheus", async () => {
  const shift = Date.now() - end;
  const live: SeriesSource & { names: string[] } = {
    kept: source.kept,
    names: ["istio_requests_total"],
    select: (name, wanted, from, to) =>
      source.select(name, wanted, from - shift, to - shift).map(({ labels, points }) => ({
        labels,
        points: points.map(([at, value]) => [at + shift, value] as const),
      })),
  };
  const port = 0;
  const served = await serveMonitoring({
    host: "127.0.0.1",
    port,
    text: () => "",
    series: live,
    clock: systemClock,
    logger: silent,
  });
  try {
    const address = `http://127.0.0.1:${served.port}`;
    const provider = createPrometheus({ address });
    const success = await provider.query(filled(istioQueries["request-success-rate"], "1m"));
    expect(success.kind).toBe("value");
    expect(success.kind === "value" && success.value).toBeGreaterThan(80);
    expect(await provider.query("sum(rate(nothing[1m]))")).toEqual({
      kind: "no-data",
      reason: "the result is empty",
    });
    expect(await provider.query("quantile_over_time(0.9, x[1m])")).toMatchObject({ kind: "error" });
    const form = await fetch(`${address}/api/v1/query`, {
      method: "POST",
      body: new URLSearchParams({ query: "vector(3)" }),
    });
    expect(await form.json()).toMatchObject({ data: { result: [{ value: [expect.any(Number), "3"] }] } });
    const page = await (await fetch(`${address}/federate`)).text();
    expect(page).toMatch(
      /^istio_requests_total\{reporter="destination",.*response_code="200"\} \d+ \d{13}$/m,
    );
  } finally {
    await served.close();
  }
});
