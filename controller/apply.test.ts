import { expect, test } from "vitest";
import { advanceSettings } from "../analysis/settings.ts";
import { readCanary } from "../api/canary/read.ts";
import type { Canary } from "../api/kinds.ts";
import { snapshotOf } from "../kube/snapshot.ts";
import { systemClock } from "../lib/clock.ts";
import { createRegistry } from "../lib/metrics.ts";
import { type ApplyOptions, applyEffect } from "./apply.ts";
import { decisionSpec } from "./decision-spec.ts";
import { createControllerMetrics } from "./metrics.ts";
import { istioRouter } from "./routers/istio.ts";
import { defaultSettings } from "./settings.ts";
import { readState } from "./status/read.ts";
import { readSubject } from "./subject.ts";
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
  const { value } = readCanary(newer);
  if (value === undefined) throw new Error("the Canary cannot be read");
  const subject = readSubject(value, snapshotOf([older]), istioRouter, defaultSettings);
  const last = readState(newer.status);
  const next = { ...last, cleanup: [] };
  const writes: Write[] = [];
  const options: ApplyOptions = {
    client: { delete: async () => {} },
    writer: {
      write: async (write) => {
        writes.push(write);
        return newer;
      },
      isOwn: () => false,
      forget: () => {},
    },
    recorder: { event: () => {} },
    hooks: { alert: () => {} },
    eventHooks: { tell: () => {} },
    lease: { held: () => true, epoch: () => 1 },
    rollbacks: { rollBack: async () => {}, close: () => {} },
    metrics: createControllerMetrics(createRegistry()),
    clock: systemClock,
  };
  await applyEffect(
    { kind: "store" },
    {
      subject,
      last,
      decision: { next, effects: [] },
      spec: decisionSpec(value, advanceSettings(value.analysis)),
    },
    options,
  );
  expect(writes).toMatchObject([
    {
      kind: "status",
      object: { metadata: { resourceVersion: "2" }, status: { phase: "Failed", history: [ended] } },
    },
  ]);
});
