import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { AlertProviderKind, MetricTemplateKind } from "../kinds.ts";
import { readManifests } from "../manifest.ts";
import { read } from "../read.ts";
import type { UnreadObject } from "../resource.ts";
import { analysed, canary } from "../testdata/canary.ts";
import { readCanary } from "./read.ts";

function readAny(object: UnreadObject) {
  if (object.kind === "Canary") return readCanary(object);
  return object.kind === "MetricTemplate"
    ? read(MetricTemplateKind, object)
    : read(AlertProviderKind, object);
}

const flagger = globSync("api/testdata/flagger/*.yaml").sort();

test("there are manifests written for Flagger to read", () => expect(flagger.length).toBeGreaterThan(2));

test.for(flagger)("%s, written for Flagger, is read without a problem", (file) => {
  const { objects, problems } = readManifests(readFileSync(file, "utf8"), file);
  expect(problems).toEqual([]);
  for (const { object } of objects) {
    const { value, problems } = readAny(object);
    expect(problems).toEqual([]);
    expect(value).toBeDefined();
  }
});

test("every default is Flagger's, and what is added is off its path", () => {
  const { value } = readCanary(
    analysed({
      stepWeight: 20,
      metrics: [{ name: "request-success-rate" }],
      webhooks: [{ name: "load", url: "http://load/" }],
      alerts: [{ name: "chat", providerRef: { name: "chat" } }],
    }),
  );
  expect(value).toMatchObject({
    provider: "istio",
    progressDeadline: 600_000,
    skipAnalysis: false,
    revertOnDeletion: false,
    suspend: false,
    service: {
      name: "shop",
      port: 80,
      portName: "http",
      targetPort: 80,
      hosts: [],
      gateways: [],
      portDiscovery: false,
    },
    names: {
      primaryWorkload: "shop-primary",
      canaryWorkload: "shop",
      apexService: "shop",
      primaryService: "shop-primary",
      canaryService: "shop-canary",
    },
    analysis: {
      interval: 10_000,
      threshold: 5,
      strategy: { kind: "weights", steps: [20, 40, 60, 80, 100], maxWeight: 100 },
      stepWeightPromotion: 0,
      primaryReadyThreshold: 100,
      canaryReadyThreshold: 100,
      metrics: [{ kind: "request-success-rate", interval: 60_000, range: {} }],
      webhooks: [{ type: "rollout", timeout: 10_000, retries: 0, disableTLS: false, metadata: {} }],
      alerts: [{ severity: "info", provider: { namespace: "demo", name: "chat" } }],
      guard: { tripWire: true, errors: true, latency: true, alpha: 0.001, warmup: 60_000 },
      noData: "hold",
      providerErrors: "hold",
      deadline: 4 * 3_600_000,
      onInconclusive: "hold",
    },
  });
  expect(value?.analysis.sequential).toBeUndefined();
});

test.for([
  [{ stepWeight: 20, maxWeight: 50 }, [20, 40, 50]],
  [{ stepWeight: 60, maxWeight: 50 }, [50]],
  [{ stepWeight: 50, maxWeight: 0 }, [50, 100]],
  [{ stepWeights: [1, 2, 10, 80] }, [1, 2, 10, 80]],
] as const)("%j goes through %j", ([analysis, steps]) => {
  expect(readCanary(analysed(analysis)).value?.analysis.strategy).toMatchObject({ kind: "weights", steps });
});

test("iterations are blue/green, and A/B testing where a match says who", () => {
  const match = [{ headers: { "x-canary": { exact: "insider" } } }];
  expect(readCanary(analysed({ iterations: 5 })).value?.analysis.strategy).toEqual({
    kind: "blue-green",
    iterations: 5,
  });
  expect(readCanary(analysed({ iterations: 5, match })).value?.analysis.strategy).toEqual({
    kind: "ab-testing",
    iterations: 5,
    match,
  });
});

test("weights on plain Kubernetes become ten iterations, and the user is told", () => {
  const { value, problems } = readCanary(canary({ provider: "kubernetes" }));
  expect(value?.analysis.strategy).toEqual({ kind: "blue-green", iterations: 10 });
  expect(problems).toMatchObject([{ field: "/spec/analysis/stepWeight", severity: "warning" }]);
});

test("canaryAnalysis is the old name of analysis, which counts where both are given", () => {
  const old = { interval: "20s", threshold: 3, stepWeight: 25 };
  expect(readCanary(canary({ analysis: undefined, canaryAnalysis: old })).value?.analysis).toMatchObject({
    interval: 20_000,
    threshold: 3,
  });
  const both = readCanary(canary({ canaryAnalysis: old }));
  expect(both.value?.analysis.interval).toBe(10_000);
  expect(both.problems).toMatchObject([{ field: "/spec/canaryAnalysis", severity: "warning" }]);
});

test.for([
  [undefined, true, true],
  ["on", true, true],
  [true, true, true],
  ["off", false, false],
  [false, false, false],
  [{ latency: "off" }, true, false],
  [{ tripWire: false, latency: true }, false, true],
] as const)("guard %j: trip wire %j, latency %j", ([guard, tripWire, latency]) => {
  expect(readCanary(analysed({ stepWeight: 10, guard })).value?.analysis.guard).toMatchObject({
    tripWire,
    latency,
  });
});

test("sequential has the method's defaults, wider for latency", () => {
  const { value } = readCanary(
    analysed({
      stepWeight: 5,
      sequential: {},
      metrics: [{ name: "request-success-rate" }, { name: "request-duration", thresholdRange: { max: 500 } }],
    }),
  );
  expect(value?.analysis.sequential).toEqual({
    compare: "primary",
    alpha: 0.01,
    beta: 0.1,
    mde: 2,
    relative: 10,
    absolute: 0.05,
    poll: 1000,
    freeRequests: 20,
  });
  expect(value?.analysis.metrics.map(({ sequential }) => sequential)).toMatchObject([
    { relative: 10, absolute: 0.05, mde: 2 },
    { relative: 50, absolute: 0.5, mde: 5, percentiles: [90, 99, 99.9], warmup: 60_000 },
  ]);
});

test("skipAnalysis needs no analysis", () => {
  expect(readCanary(canary({ skipAnalysis: true, analysis: undefined })).value?.skipAnalysis).toBe(true);
});

test("an unknown field is told with its pointer, and the rest counts", () => {
  const { value, problems } = readCanary(
    analysed({ stepWeight: 5, stepWeigth: 10, guard: { latncy: "off" } }),
  );
  expect(value?.analysis.strategy).toMatchObject({ stepWeight: 5 });
  expect(problems.map(({ field, message, severity }) => [field, message, severity])).toEqual([
    ["/spec/analysis/stepWeigth", "is not a field: did you mean `stepWeight`?", "warning"],
    ["/spec/analysis/guard/latncy", "is not a field: did you mean `latency`?", "warning"],
  ]);
});
