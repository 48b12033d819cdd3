/** The texts of events, which tools read: Flagger's, run by run, in the order in which it tells them. */
import { expect, test } from "vitest";
import { checkValue } from "../../analysis/checks/threshold.ts";
import { DeploymentKind } from "../../api/core.ts";
import type { CanaryAnalysis, CanarySpec, CanaryWebhook } from "../../api/generated/canaries.ts";
import type { Canary } from "../../api/kinds.ts";
import { canary, deployment } from "../testing/cluster.ts";
import { ended, passing, type Script, simulate } from "../testing/simulate.ts";
import { createWorld, type World } from "../testing/world.ts";

/** The Canary is `store`, its target `shop`: Flagger's texts name one or the other. */
async function initialized(analysis: CanaryAnalysis, spec: Partial<CanarySpec> = {}): Promise<World> {
  const world = createWorld();
  world.put(deployment("shop", "app:1"));
  const made = canary("shop", { interval: "1s", threshold: 2, ...analysis });
  const metadata = { ...made.metadata, name: "store" };
  world.put({ ...made, metadata, spec: { ...made.spec, ...spec } } as Canary);
  await simulate(world, passing).run(({ phase }) => phase === "Initialized");
  return world;
}

async function told(world: World, script: Script = passing): Promise<readonly string[]> {
  world.edit(DeploymentKind, "shop", (object) =>
    JSON.parse(JSON.stringify(object).replace("app:1", "app:2")),
  );
  const simulation = simulate(world, script);
  await simulation.run(({ phase }) => phase !== "Initialized");
  await simulation.run(ended);
  return simulation.decisions
    .flatMap(({ effects }) => effects)
    .flatMap((effect) => (effect.kind === "event" ? [`${effect.type} ${effect.message}`] : []));
}

const hook = (type: NonNullable<CanaryWebhook["type"]>): CanaryWebhook => ({
  name: type,
  type,
  url: "http://tester.default/",
});

test("weights, hooks and gates that pass", async () => {
  const webhooks = (
    [
      "confirm-rollout",
      "pre-rollout",
      "confirm-traffic-increase",
      "confirm-promotion",
      "post-rollout",
    ] as const
  ).map(hook);
  expect(await told(await initialized({ stepWeights: [20], webhooks }))).toEqual([
    "Normal New revision detected! Scaling up shop.default",
    "Normal Confirm-rollout check confirm-rollout passed",
    "Normal Starting canary analysis for shop.default",
    "Normal Pre-rollout check pre-rollout passed",
    "Normal Confirm-traffic-increase check confirm-traffic-increase passed",
    "Normal Advance store.default canary weight 20",
    "Normal Confirm-promotion check confirm-promotion passed",
    "Normal Copying shop.default template spec to shop-primary.default",
    "Normal Routing all traffic to primary",
    "Normal Promotion completed! Scaling down shop.default",
    "Normal Post-rollout check post-rollout passed",
  ]);
});

test("a promotion by steps", async () => {
  const texts = await told(await initialized({ stepWeights: [50], stepWeightPromotion: 25 }));
  expect(texts.slice(-4)).toEqual([
    "Normal Copying shop.default template spec to shop-primary.default",
    "Normal Advance store.default primary weight 75",
    "Normal Advance store.default primary weight 100",
    "Normal Promotion completed! Scaling down shop.default",
  ]);
});

test.each([
  [true, "Normal Stop traffic mirroring and route all traffic to canary"],
  [false, "Normal Routing all traffic to canary"],
] as const)("blue/green, mirrored: %s", async (mirror, text) => {
  expect(await told(await initialized({ iterations: 1, mirror }))).toEqual([
    "Normal New revision detected! Scaling up shop.default",
    "Normal Starting canary analysis for shop.default",
    "Normal Advance store.default canary iteration 1/1",
    text,
    "Normal Copying shop.default template spec to shop-primary.default",
    "Normal Routing all traffic to primary",
    "Normal Promotion completed! Scaling down shop.default",
  ]);
});

test("checks that fail", async () => {
  const script: Script = { check: ({ phase }) => (phase === "Progressing" ? "failed" : "passed") };
  expect((await told(await initialized({ stepWeights: [20] }), script)).slice(2)).toEqual([
    "Normal Advance store.default canary weight 20",
    "Warning Halt store.default advancement check failed",
    "Warning Rolling back store.default failed checks threshold reached 2: check failed",
    "Warning Canary failed! Scaling down store.default",
  ]);
});

test("a rollback hook that says so", async () => {
  const world = await initialized({ stepWeights: [20], webhooks: [hook("rollback")] });
  expect((await told(world)).slice(-3)).toEqual([
    "Warning Rollback check rollback passed",
    "Warning Rolling back store.default manual webhook invoked: rollback hook rollback",
    "Warning Canary failed! Scaling down store.default",
  ]);
});

test("hooks that fail", async () => {
  const world = await initialized({ stepWeights: [20], webhooks: [hook("rollout"), hook("post-rollout")] });
  const texts = await told(world, { ...passing, hook: () => "failed" });
  expect(texts).toContain("Warning Halt store.default advancement external check rollout failed ");
  expect(texts.at(-1)).toBe("Warning Post-rollout hook post-rollout failed ");
});

test("pods that are not ready in time", async () => {
  const world = await initialized({ stepWeights: [20] }, { progressDeadlineSeconds: 3 });
  const isReady: Script["isReady"] = ({ metadata }) => metadata.name !== "shop";
  expect((await told(world, { ...passing, isReady })).slice(-2)).toEqual([
    'Warning Rolling back store.default progress deadline exceeded waiting for rollout to finish: 0 of 2 (readyThreshold 100%) updated replicas are available, deployment "shop"',
    "Warning Canary failed! Scaling down store.default",
  ]);
});

test.each([
  ["shop", "CanaryNotReady"],
  ["shop-primary", "PrimaryNotReady"],
])("pods that come up are no news, those that take longer than usual are: %s", async (name, reason) => {
  const noticesWhile = async (seconds: number): Promise<readonly (string | undefined)[]> => {
    const world = await initialized({ stepWeights: [20] });
    world.edit(DeploymentKind, "shop", (object) =>
      JSON.parse(JSON.stringify(object).replace("app:1", "app:2")),
    );
    let waited = 0;
    const isReady: Script["isReady"] = ({ metadata, spec }) =>
      metadata.name !== name || JSON.stringify(spec).includes("app:1") || waited > seconds;
    const meanwhile: Script["meanwhile"] = (_, { phase }) => {
      if (phase === (name === "shop" ? "Progressing" : "Promoting")) waited++;
    };
    const simulation = simulate(world, { ...passing, isReady, meanwhile });
    await simulation.run(({ phase }) => phase !== "Initialized");
    await simulation.run(ended);
    return simulation.decisions.flatMap(({ notice }) => (notice ? [notice.reason] : []));
  };
  expect(await noticesWhile(3)).toEqual([]);
  expect(new Set(await noticesWhile(20))).toEqual(new Set([reason]));
});

test.each([
  ["request-success-rate", 98.689, { min: 99 }, "success rate 98.69% < 99%"],
  ["request-success-rate", 99.9, { max: 99 }, "success rate 99.90% > 99%"],
  ["request-duration", 1500, { max: 500 }, "request duration 1.5s > 500ms"],
  ["request-duration", 61_000, { max: 60_000 }, "request duration 1m1s > 1m0s"],
  ["errors", 1.5, { max: 1 }, "errors 1.50 > 1"],
  ["saturation", 0.004, { min: 0.5 }, "saturation 0.00 < 0.5"],
] as const)("what a check found: %s %s", (name, value, range, text) => {
  expect(checkValue(name, value, range).reason).toBe(text);
});
