import { expect, test } from "vitest";
import { readCanary } from "../../api/canary/read.ts";
import type { MetricTemplate } from "../../api/kinds.ts";
import { readRunSettings } from "../settings.ts";

const template = (query: string, counts?: { total: string; bad: string }): MetricTemplate => ({
  apiVersion: "flagger.app/v1beta1",
  kind: "MetricTemplate",
  metadata: { name: "checkout", namespace: "demo" },
  spec: {
    provider: { type: "prometheus", address: "http://prometheus:9090" },
    query,
    ...(counts && { counts }),
  },
});

function settingsOf(metric: Record<string, unknown>, found?: MetricTemplate, sequential: unknown = {}) {
  const { value, problems } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      metricsServer: "http://prometheus:9090",
      analysis: {
        ...{ interval: "30s", threshold: 5, stepWeight: 10 },
        metrics: [{ thresholdRange: { max: 10 }, ...metric }],
        ...(sequential === null ? {} : { sequential }),
      },
    },
  });
  if (value === undefined) throw new Error(JSON.stringify(problems));
  const read = readRunSettings(value, { template: () => found, secret: () => Promise.resolve(new Map()) });
  return { ...read.settings, problems: [...problems, ...read.problems].map(({ message }) => message) };
}

const byTemplate = { name: "failures", templateRef: { name: "checkout" } };

test("a template's counters are asked for both arms, and make a test of the judge", () => {
  const counts = { total: 'sum(all{app="{{ target }}"})', bad: 'sum(bad{app="{{ target }}"})' };
  const { pairs, judge, metrics } = settingsOf(byTemplate, template('rate{app="{{ target }}"}', counts));
  expect(pairs).toMatchObject([
    {
      kind: "counts",
      canary: { total: { query: 'sum(all{app="shop"})' }, bad: { query: 'sum(bad{app="shop"})' } },
      primary: {
        total: { query: 'sum(all{app="shop-primary"})' },
        bad: { query: 'sum(bad{app="shop-primary"})' },
      },
    },
  ]);
  expect(judge?.tests.at(-1)).toMatchObject({
    name: "failures",
    bad: { kind: "counted" },
    share: 0.2,
    rho: 1.1,
    delta: 0.0005,
    mde: 0.02,
  });
  expect(judge?.tests.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
  // Its threshold stays a check of each tick.
  expect(metrics.map(({ name }) => name)).toEqual(["failures"]);
});

test("a query of the Canary's own may have counters too", () => {
  const { pairs } = settingsOf({
    name: "failures",
    query: 'rate{app="{{ target }}"}',
    counts: { total: 'all{app="{{ target }}"}', bad: 'bad{app="{{ target }}"}' },
  });
  expect(pairs).toMatchObject([{ kind: "counts", primary: { bad: { query: 'bad{app="shop-primary"}' } } }]);
});

test("values are compared only where the metric says how, worse as its threshold says", () => {
  const gauge = template('max(queue{app="{{ target }}"})');
  expect(settingsOf(byTemplate, gauge)).not.toHaveProperty("pairs");
  const sign = settingsOf({ ...byTemplate, sequential: { test: "sign", relative: 25 } }, gauge);
  expect(sign.judge?.tests.at(-1)).toMatchObject({
    bad: { kind: "paired", worse: "higher", tolerance: 0.25 },
    name: "failures higher than the primary's",
  });
  const lower = settingsOf(
    { ...byTemplate, thresholdRange: { min: 3 }, sequential: { test: "sign" } },
    gauge,
  );
  expect(lower.pairs).toMatchObject([{ worse: "lower" }]);
  const check = settingsOf({ ...byTemplate, sequential: { test: "mann-whitney" } }, gauge);
  expect(check.pairs).toMatchObject([{ kind: "values" }]);
  expect(check.judge?.tests).toHaveLength(4);
});

test("without sequential nothing is compared, and the user is told", () => {
  const found = settingsOf({ ...byTemplate, sequential: { test: "sign" } }, template("x{{ target }}"), null);
  expect(found).not.toHaveProperty("pairs");
  expect(found.problems).toEqual(["is ignored: it counts with `spec.analysis.sequential` alone"]);
});

test("a query that asks the same of both arms cannot compare them", () => {
  const found = settingsOf({ ...byTemplate, sequential: { test: "sign" } }, template("max(queue)"));
  expect(found).not.toHaveProperty("pairs");
  expect(found.problems).toEqual([
    "metric failures cannot be compared: its query asks the same of canary and primary; name {{ target }} in it",
  ]);
});
