import { expect, test } from "vitest";
import { advanceSettings } from "../analysis/settings.ts";
import { readCanary } from "../api/canary/read.ts";
import type { Deployment } from "../api/core.ts";
import type { Canary } from "../api/kinds.ts";
import type { KubeObject } from "../api/resource.ts";
import { snapshotOf } from "../kube/snapshot.ts";
import { systemClock } from "../lib/clock.ts";
import { createRegistry } from "../lib/metrics.ts";
import { type ApplyOptions, applyDecision, applyEffect } from "./apply.ts";
import type { Decision, Effect } from "./decide/effects.ts";
import { decisionSpec } from "./decision-spec.ts";
import { createControllerMetrics } from "./metrics.ts";
import { istioRouter } from "./routers/istio.ts";
import { defaultSettings } from "./settings.ts";
import { readState } from "./status/read.ts";
import { readSubject, targetRevision } from "./subject.ts";
import type { Write } from "./write.ts";

function canary(resourceVersion: string, status: Canary["status"]): Canary {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { namespace: "demo", name: "shop", uid: "u1", resourceVersion },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis: { interval: "1s", threshold: 2, stepWeights: [50] },
    },
    ...(status && { status }),
  };
}

/** What is applied to a canary as the API server has it, with what it writes and tells. */
function applied(object: Canary, older: Canary = object, others: readonly KubeObject[] = []) {
  const { value } = readCanary(object);
  if (value === undefined) throw new Error("the Canary cannot be read");
  const writes: Write[] = [];
  const told: string[] = [];
  const options: ApplyOptions = {
    client: { delete: async () => {} },
    writer: {
      write: async (write) => {
        writes.push(write);
        return object;
      },
      isOwn: () => false,
      forget: () => {},
    },
    recorder: { event: (_, __, ___, message) => told.push(message) },
    hooks: { alert: () => {} },
    eventHooks: { tell: () => {} },
    lease: { held: () => true, epoch: () => 1 },
    rollbacks: { rollBack: async () => {}, close: () => {} },
    metrics: createControllerMetrics(createRegistry()),
    clock: systemClock,
  };
  return {
    subject: readSubject(value, snapshotOf([older, ...others]), istioRouter, defaultSettings),
    last: readState(object.status),
    spec: decisionSpec(value, advanceSettings(value.analysis)),
    options,
    writes,
    told,
  };
}

/** In a look that saw its own write before the watch did, the snapshot is the older one as soon as the watch has caught up. */
test("a status is built on the version that was decided on, not on an older one of the snapshot", async () => {
  const ended = {
    run: "r1",
    revision: "v2:1",
    outcome: "rolled-back",
    endedAt: "2026-01-01T00:00:00Z",
  } as const;
  const older = canary("1", { phase: "Progressing" });
  const newer = canary("2", { phase: "Failed", cleanup: ["scale-down"], history: [ended] });
  const { subject, last, spec, options, writes } = applied(newer, older);
  const next = { ...last, cleanup: [] };
  await applyEffect({ kind: "store" }, { subject, last, decision: { next, effects: [] }, spec }, options);
  expect(writes).toMatchObject([
    {
      kind: "status",
      object: { metadata: { resourceVersion: "2" }, status: { phase: "Failed", history: [ended] } },
    },
  ]);
});

test.for([
  ["once the status is stored", ["store", "roll-back-route"], ["Advance"]],
  ["not before", ["roll-back-route", "store"], []],
] as const)("a decision of which a write is refused is told %s", async ([, kinds, expected]) => {
  const { subject, last, spec, options, told } = applied(
    canary("1", { phase: "Failed", cleanup: ["scale-down"] }),
  );
  const refusing = {
    ...options,
    rollbacks: { ...options.rollbacks, rollBack: () => Promise.reject(new Error("conflict")) },
  };
  const mark = {
    id: "rollback-r1",
    run: "r1",
    revision: "v2:1",
    reason: "TripWire",
    at: "2026-01-01T00:00:00Z",
  };
  const next = { ...last, cleanup: [] };
  const effects = kinds.map(
    (kind): Effect => (kind === "store" ? { kind } : { kind: "roll-back-route", mark }),
  );
  const decision: Decision = {
    next,
    effects: [...effects, { kind: "event", type: "Normal", reason: "Advance", message: "Advance" }],
  };
  await expect(applyDecision({ subject, last, decision, spec }, refusing)).rejects.toThrow("conflict");
  expect(told).toEqual(expected);
});

function deployment(generation: number, image: string): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace: "demo", name: "shop", uid: "d1", generation },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "shop" } },
      template: { metadata: { labels: { app: "shop" } }, spec: { containers: [{ name: "shop", image }] } },
    },
  };
}

test.for([
  ["our own scaling made is stored together with what follows it", "shop:2", "d1/8"],
  ["somebody's edit made meanwhile is not: it is to begin a run", "shop:3", "d1/7"],
] as const)("the generation that %s", async ([, image, expected]) => {
  const target = deployment(7, "shop:2");
  const { subject, last, spec, options, writes } = applied(canary("1", {}), undefined, [target]);
  if (subject.template === undefined) throw new Error("the target cannot be read");
  const writer = {
    ...options.writer,
    write: async (write: Write) => {
      writes.push(write);
      return deployment(8, image);
    },
  };
  const next = { ...last, applied: targetRevision(subject, subject.template), fence: "d1/7" };
  const effects: Effect[] = [{ kind: "scale-target", replicas: 0 }, { kind: "store" }];
  await applyDecision({ subject, last, decision: { next, effects }, spec }, { ...options, writer });
  expect(writes).toMatchObject([
    { kind: "patch", name: "shop" },
    { kind: "status", object: { status: { lastTrackedRevision: expected } } },
  ]);
});
