/** Canaries that admission would have refused, in an API server without it: each is told in a condition, and no other is held up. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { DeploymentKind } from "../api/core.ts";
import { type Canary, CanaryKind, MetricTemplateKind } from "../api/kinds.ts";
import { canary, deployment, startTestCluster, type TestCluster, waitFor } from "./testing/cluster.ts";
import { startTestController, type TestController } from "./testing/process.ts";

let cluster: TestCluster;
let running: TestController;

beforeAll(async () => {
  cluster = await startTestCluster();
  running = await startTestController(cluster, { settings: { crossNamespaceRefs: false } });
});

afterAll(async () => {
  await running.close();
  await cluster.close();
});

const analysis = { interval: "1s", threshold: 2, stepWeights: [50] };
const byTemplate = (name: string, namespace?: string) => ({
  ...analysis,
  metrics: [
    { name: "errors", templateRef: { name, ...(namespace && { namespace }) }, thresholdRange: { max: 1 } },
  ],
});

/** Its target and the Canary, with what its spec is to be besides. */
async function create(name: string, spec: object): Promise<void> {
  await cluster.client.create(DeploymentKind, deployment(name, "app:1"));
  const object = canary(name, analysis);
  await cluster.client.create(CanaryKind, { ...object, spec: { ...object.spec, ...spec } } as Canary);
}

const stalled = (name: string) =>
  waitFor(cluster, name, ({ status }) =>
    status?.conditions?.find(({ type, status: is }) => type === "Stalled" && is === "True"),
  );

test.for([
  [
    "interval",
    { analysis: { ...analysis, interval: "10sec" } },
    "spec.analysis.interval is `10sec`, must be a duration such as `30s` or `1m30s`",
  ],
  [
    "step-zero",
    { analysis: { interval: "1s", threshold: 2, stepWeight: 0 } },
    "spec.analysis.stepWeight is `0`, must be between 1 and 100",
  ],
  [
    "max-weight",
    { analysis: { interval: "1s", threshold: 2, stepWeight: 5, maxWeight: 120 } },
    "spec.analysis.maxWeight is `120`, must be between 0 and 100",
  ],
  [
    "step-weights",
    { analysis: { ...analysis, stepWeights: [10, 200] } },
    "spec.analysis.stepWeights[1] is `200`, must be between 1 and 100",
  ],
  [
    "elsewhere",
    { analysis: byTemplate("errors", "other") },
    "spec.analysis.metrics[0].templateRef.namespace is `other`, must be `default`: references to other namespaces are forbidden here",
  ],
] as const)("%s is told with its field, and the target is left alone", async ([name, spec, message]) => {
  await create(name, spec);
  expect(await stalled(name)).toMatchObject({
    reason: "InvalidSpec",
    message: expect.stringContaining(message),
  });
  expect((await cluster.client.get(DeploymentKind, "default", name))?.spec?.replicas).not.toBe(0);
});

test("an unknown provider is refused by the CRD itself", async () => {
  await expect(create("provider", { provider: "itsio" })).rejects.toThrow(
    'spec.provider: Unsupported value: "itsio"',
  );
});

test("a missing MetricTemplate is told, holds a new revision, and nothing more once it is there", async () => {
  await create("lacking", { analysis: byTemplate("errors") });
  expect(await stalled("lacking")).toMatchObject({
    reason: "TemplateNotFound",
    message: "spec.analysis.metrics[0].templateRef: no MetricTemplate `default/errors` exists",
  });
  await cluster.client.patch(DeploymentKind, "default", "lacking", {
    kind: "json",
    operations: [{ op: "replace", path: "/spec/template/spec/containers/0/image", value: "app:2" }],
  });
  await waitFor(cluster, "lacking", ({ status }) =>
    status?.conditions?.some(({ message }) => message?.startsWith("a new revision waits: ") === true),
  );
  await cluster.client.create(MetricTemplateKind, {
    apiVersion: "flagger.app/v1beta1",
    kind: "MetricTemplate",
    metadata: { name: "errors", namespace: "default" },
    spec: { provider: { type: "prometheus", address: "http://127.0.0.1:1" }, query: "errors" },
  });
  await waitFor(cluster, "lacking", ({ status }) => status?.phase === "Progressing");
});
