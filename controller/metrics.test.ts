import { expect, test } from "vitest";
import type { Judgement } from "../analysis/judge/types.ts";
import { readCanary } from "../api/canary/read.ts";
import { createRegistry } from "../lib/metrics.ts";
import type { State } from "./decide/state.ts";
import { wantedTraffic } from "./decide/traffic.ts";
import { createControllerMetrics } from "./metrics.ts";

const canaryOf = (analysis: object) => {
  const { value } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "store", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: { interval: "10s", threshold: 5, ...analysis },
    },
  });
  if (value === undefined) throw new Error("the canary cannot be read");
  return value;
};

test("Flagger's names and labels, by the target's name; all go with the canary", () => {
  const registry = createRegistry();
  const metrics = createControllerMetrics(registry);
  const canary = canaryOf({ iterations: 3, match: [{ headers: { "x-user": { exact: "a" } } }] });
  const run = { id: "r", revision: "v2:1", startedAt: 0, preRolloutPassed: true };
  const position = { canaryWeight: 0, iterations: 1, failedChecks: 0 };
  const state: State = { phase: "Progressing", run, ...position, trackedConfigs: {}, checks: [] };
  metrics.info("1.2.3", "istio");
  metrics.total("demo", 1);
  metrics.state(canary, state, wantedTraffic(state, { plan: canary.analysis.strategy }));
  const check = { name: "latency", kind: "passed", value: 0.5, threshold: "", reason: "" } as const;
  metrics.checks(canary, [check]);
  metrics.ticked(canary, 300);
  metrics.ended(canary, run, "promoted", 5000);
  metrics.ended(canary, run, "rolled-back", 5000);
  const text = registry.text();
  const ended =
    '{name="shop",namespace="demo",deployment_strategy="ab-testing",analysis_status="completed"} 1';
  for (const line of [
    'flagger_info{version="1.2.3",mesh_provider="istio"} 1',
    'flagger_canary_total{namespace="demo"} 1',
    'flagger_canary_status{name="shop",namespace="demo"} 0',
    'flagger_canary_weight{workload="shop",namespace="demo"} 100',
    'flagger_canary_weight{workload="shop-primary",namespace="demo"} 0',
    'flagger_canary_metric_analysis{name="shop",namespace="demo",metric="latency"} 0.5',
    'flagger_canary_duration_seconds_bucket{name="shop",namespace="demo",le="0.5"} 1',
    `flagger_canary_successes_total${ended}`,
    `flagger_canary_failures_total${ended}`,
  ])
    expect(text).toContain(line);
  metrics.forget("demo", "shop");
  metrics.total("demo", 0);
  expect(registry.text()).not.toContain("shop");
  expect(registry.text()).toContain('flagger_canary_total{namespace="demo"} 0');
});

test("users whom a shield rescued are counted, and those whom it did not", () => {
  const registry = createRegistry();
  const metrics = createControllerMetrics(registry);
  const canary = canaryOf({ stepWeight: 10, shield: {} });
  metrics.shielded(canary, { rescued: 40, notRescued: 0 });
  metrics.shielded(canary, { rescued: 2, notRescued: 1 });
  const text = registry.text();
  expect(text).toContain('fairlead_shield_rescued_total{name="shop",namespace="demo"} 42');
  expect(text).toContain('fairlead_shield_not_rescued_total{name="shop",namespace="demo"} 1');
});

test("each test's evidence is told per canary, and goes with it", () => {
  const canary = canaryOf({ stepWeight: 10 });
  const common = { metric: "request-success-rate", canaryRequests: 100, dispersion: 1.5 };
  const judgement: Judgement = {
    ...{ at: 0, harm: 2.5, rollbackAt: 4.6, safe: 1, promoteAt: 2.3, verdict: "amber", mayStep: false },
    ...{ mayPromote: false, worst: "request-success-rate", reason: "" },
    tests: [
      { ...common, name: "errors", harm: 3, safe: 1 },
      { ...common, name: "p99", harm: -1 },
    ],
  } as const;
  const registry = createRegistry();
  const metrics = createControllerMetrics(registry);
  metrics.judged(canary, judgement);
  const text = registry.text();
  expect(text).toMatch(/fairlead_analysis_harm_nats\{[^}]*test="all"[^}]*\} 2\.5/);
  expect(text).toMatch(/fairlead_analysis_harm_nats\{[^}]*test="p99"[^}]*\} -1/);
  expect(text).toMatch(/fairlead_analysis_safe_nats\{[^}]*test="errors"[^}]*\} 1\n/);
  expect(text).not.toMatch(/safe_nats\{[^}]*p99/);
  expect(text).toMatch(/fairlead_analysis_dispersion\{[^}]*test="errors"[^}]*\} 1\.5/);
  metrics.forget("demo", "shop");
  expect(registry.text()).not.toContain('canary="shop"');
});
