import fc from "fast-check";
import { expect, test } from "vitest";
import type { Job, Pod } from "../../../api/core.ts";
import { backOffUntil } from "./back-off.ts";
import { formatIndexes, readIndexes } from "./indexes.ts";
import { planJob, trackingFinalizer } from "./plan.ts";
import { podOfJob } from "./pod.ts";

const now = Date.parse("2026-01-01T00:10:00Z");

function job(fields: Partial<NonNullable<Job["spec"]>> = {}, status: Job["status"] = {}): Job {
  const template = { spec: { containers: [{ name: "main" }], restartPolicy: "Never" } };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "sum", uid: "j" },
    spec: { completions: 3, parallelism: 2, template, ...fields },
    status,
  };
}

function pod(uid: string, phase: string, agoSeconds = 0): Pod {
  const finishedAt = new Date(now - agoSeconds * 1000).toISOString();
  const state = { terminated: { exitCode: 0, finishedAt } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: uid, uid, finalizers: [trackingFinalizer] },
    status: {
      phase,
      containerStatuses: [{ name: "main", image: "", imageID: "", ready: false, restartCount: 0, state }],
    },
  };
}

const plan = (of: Job, pods: readonly Pod[] = []) => planJob({ job: of, pods, now });

test("as many pods run as parallelism and what is left allow", () => {
  expect(plan(job()).create).toHaveLength(2);
  expect(plan(job({}, { succeeded: 2 })).create).toHaveLength(1);
  expect(plan(job(), [pod("a", "Running"), pod("b", "Running")]).create).toEqual([]);
  expect(plan(job({ parallelism: 1 }), [pod("a", "Running"), pod("b", "Running")]).remove).toHaveLength(1);
  expect(plan(job({ suspend: true }), [pod("a", "Running")])).toMatchObject({
    create: [],
    counts: { active: 0 },
  });
});

test("an ended pod is counted once, whatever happens between the count and the end of its finalizer", () => {
  const first = plan(job(), [pod("a", "Succeeded")]);
  expect(first.counts).toMatchObject({ succeeded: 1, uncountedTerminatedPods: { succeeded: ["a"] } });
  const again = plan(job({}, first.counts as Job["status"]), [pod("a", "Succeeded")]);
  expect(again.counts.succeeded).toBe(1);
  expect(again.counted.map(({ metadata }) => metadata.name)).toEqual(["a"]);
  const after = plan(job({}, again.counts as Job["status"]), []);
  expect(after.counts).toMatchObject({ succeeded: 1, uncountedTerminatedPods: { succeeded: [] } });
});

test("a job ends with its completions, its back-off limit or its deadline", () => {
  expect(plan(job({ completions: 1 }), [pod("a", "Succeeded")]).end?.type).toBe("Complete");
  expect(plan(job({ backoffLimit: 0 }), [pod("a", "Failed")]).end?.reason).toBe("BackoffLimitExceeded");
  const started = { startTime: new Date(now - 5000).toISOString() };
  expect(plan(job({ activeDeadlineSeconds: 5 }, started)).end?.reason).toBe("DeadlineExceeded");
  expect(plan(job({ activeDeadlineSeconds: 6 }, started)).recheckAt).toBe(now + 1000);
});

test("without completions one success ends the job when the others have ended", () => {
  const { completions: _, ...spec } = job().spec ?? { template: {} };
  const queue: Job = { ...job(), spec };
  expect(plan(queue, [pod("a", "Succeeded"), pod("b", "Running")])).toMatchObject({ create: [] });
  expect(plan(queue, [pod("a", "Succeeded"), pod("b", "Running")]).end).toBeUndefined();
  expect(plan(queue, [pod("a", "Succeeded")]).end?.type).toBe("Complete");
});

test("after a failure the next pod waits, ten seconds and then twice as long each time", () => {
  expect(backOffUntil([pod("a", "Failed", 3)], 1)).toBe(now + 7000);
  expect(backOffUntil([pod("a", "Failed", 3)], 2)).toBe(now + 17_000);
  expect(backOffUntil([pod("a", "Failed", 3), pod("b", "Succeeded", 1)], 1)).toBe(0);
  expect(plan(job(), [pod("a", "Failed", 3)])).toMatchObject({ create: [], recheckAt: now + 7000 });
});

test("an indexed job makes each index until it succeeded", () => {
  const indexed = job({ completionMode: "Indexed" }, { succeeded: 1, completedIndexes: "1" });
  const running = podOfJob(indexed, 0);
  expect(running.spec?.hostname).toBe("sum-0");
  const named = { ...running, metadata: { ...running.metadata, uid: "r" }, status: { phase: "Running" } };
  expect(plan(indexed, [named]).create).toEqual([2]);
});

test("completed indexes read back as they were written", () => {
  expect(formatIndexes(new Set([7, 1, 3, 4, 5, 9, 8]))).toBe("1,3-5,7-9");
  expect(formatIndexes(new Set([1, 2]))).toBe("1,2");
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat({ max: 60 })), (indexes) => {
      expect(readIndexes(formatIndexes(new Set(indexes)))).toEqual(indexes.toSorted((a, b) => a - b));
    }),
  );
});
