import { expect, test } from "vitest";
import type { Judgement } from "../analysis/judge/types.ts";
import { readCanary } from "../api/canary/read.ts";
import { createRegistry } from "../lib/metrics.ts";
import { createControllerMetrics } from "./metrics.ts";

test("each test's evidence is told per canary, and goes with it", () => {
  const { value: canary } = readCanary({
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: { interval: "10s", threshold: 5, stepWeight: 10 },
    },
  });
  if (canary === undefined) throw new Error("the canary cannot be read");
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
