import fc from "fast-check";
import { expect, test } from "vitest";
import type { Pod, StatefulSet } from "../../../api/core.ts";
import { planStatefulSet, type StatefulSetPlan } from "./plan.ts";
import { claimsOf, podOfSet } from "./pod.ts";

const now = Date.parse("2026-01-01T00:10:00Z");

function db(fields: Partial<NonNullable<StatefulSet["spec"]>> = {}): StatefulSet {
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { namespace: "shop", name: "db", uid: "s", generation: 2 },
    spec: {
      replicas: 3,
      serviceName: "db",
      selector: { matchLabels: { app: "db" } },
      template: { metadata: { labels: { app: "db" } }, spec: { containers: [] } },
      ...fields,
    },
  };
}

function pod(ordinal: number, ready = true, revision = "old", fields: Partial<Pod["metadata"]> = {}): Pod {
  const made = podOfSet(db(), ordinal, {}, revision);
  const lastTransitionTime = new Date(now - 5000).toISOString();
  return {
    ...made,
    metadata: { ...made.metadata, uid: `u${ordinal}`, ...fields },
    status: {
      phase: "Running",
      conditions: [{ type: "Ready", status: ready ? "True" : "False", lastTransitionTime }],
    },
  };
}

const plan = (set: StatefulSet, pods: readonly Pod[], update = "old", current = "old"): StatefulSetPlan =>
  planStatefulSet({ set, pods, currentRevision: current, updateRevision: update, now });
const made = ({ create }: StatefulSetPlan) => create.map(({ ordinal }) => ordinal);
const removed = ({ remove }: StatefulSetPlan) => remove.map(({ pod: { metadata } }) => metadata.name);

test("pods come one after the other, each when those before it are ready", () => {
  expect(made(plan(db(), []))).toEqual([0]);
  expect(made(plan(db(), [pod(0, false)]))).toEqual([]);
  expect(made(plan(db(), [pod(0)]))).toEqual([1]);
  expect(made(plan(db({ podManagementPolicy: "Parallel" }), []))).toEqual([0, 1, 2]);
  expect(made(plan(db({ ordinals: { start: 5 } }), []))).toEqual([5]);
  const waiting = plan(db({ minReadySeconds: 10 }), [pod(0)]);
  expect([made(waiting), waiting.recheckAt]).toEqual([[], now + 5000]);
});

test("the highest goes first, the next when it is gone; a broken one does not hold up its own end", () => {
  const set = db({ replicas: 1 });
  expect(removed(plan(set, [pod(0), pod(1), pod(2)]))).toEqual(["db-2"]);
  const going = pod(2, true, "old", { deletionTimestamp: "2026-01-01T00:00:00Z" });
  expect(removed(plan(set, [pod(0), pod(1), going]))).toEqual([]);
  expect(removed(plan(set, [pod(0), pod(1), pod(2, false)]))).toEqual(["db-2"]);
  expect(removed(plan(set, [pod(0), pod(1, false), pod(2)]))).toEqual(["db-2"]);
  expect(removed(plan(db({ replicas: 0, podManagementPolicy: "Parallel" }), [pod(0), pod(1)]))).toEqual([
    "db-1",
    "db-0",
  ]);
});

test("an update goes from the last to the partition, and waits for what is not ready", () => {
  const pods = [pod(0), pod(1), pod(2)];
  expect(removed(plan(db(), pods, "new"))).toEqual(["db-2"]);
  expect(removed(plan(db(), [pod(0), pod(1), pod(2, false, "new")], "new"))).toEqual([]);
  expect(removed(plan(db(), [pod(0), pod(1), pod(2, true, "new")], "new"))).toEqual(["db-1"]);
  const partitioned = db({ updateStrategy: { rollingUpdate: { partition: 2 } } });
  expect(removed(plan(partitioned, [pod(0), pod(1), pod(2, true, "new")], "new"))).toEqual([]);
  expect(plan(partitioned, [pod(0)], "new").create).toEqual([{ ordinal: 1, revision: "old" }]);
  expect(plan(partitioned, [pod(0), pod(1)], "new").create).toEqual([{ ordinal: 2, revision: "new" }]);
  expect(removed(plan(db({ updateStrategy: { type: "OnDelete" } }), pods, "new"))).toEqual([]);
});

test("a finished update makes its revision the current one", () => {
  const half = [pod(0), pod(1), pod(2, true, "new")];
  expect(plan(db(), half, "new").status).toMatchObject({
    currentRevision: "old",
    currentReplicas: 2,
    updatedReplicas: 1,
  });
  const all = [0, 1, 2].map((ordinal) => pod(ordinal, true, "new"));
  expect(plan(db(), all, "new").status).toMatchObject({ currentRevision: "new", currentReplicas: 3 });
});

test("a failed pod is made anew", () => {
  const failed: Pod = { ...pod(0), status: { phase: "Failed" } };
  expect(plan(db(), [failed]).remove).toEqual([{ pod: failed, why: "over" }]);
});

test("a pod keeps its name, its hostname and its claims; volumes of a claim's name give way", () => {
  const data = { metadata: { name: "data" }, spec: { accessModes: ["ReadWriteOnce"] } };
  const set = db({ volumeClaimTemplates: [data] });
  const template = { spec: { containers: [], volumes: [{ name: "data", emptyDir: {} }, { name: "tmp" }] } };
  const { metadata, spec } = podOfSet(set, 1, template, "r");
  expect(metadata).toMatchObject({
    name: "db-1",
    labels: { "statefulset.kubernetes.io/pod-name": "db-1", "apps.kubernetes.io/pod-index": "1" },
  });
  expect(spec).toMatchObject({ hostname: "db-1", subdomain: "db" });
  expect(spec?.volumes).toEqual([
    { name: "tmp" },
    { name: "data", persistentVolumeClaim: { claimName: "data-db-1" } },
  ]);
  expect(claimsOf(set, 1)[0]?.claim.metadata).toMatchObject({ name: "data-db-1", labels: { app: "db" } });
});

test("in order one pod at a time is made or removed, and every run of changes arrives", () => {
  const change = fc.record({ replicas: fc.integer({ min: 0, max: 5 }), revision: fc.constantFrom("a", "b") });
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.boolean()),
      (changes, coins) => {
        let pods: Pod[] = [];
        let current: string = changes[0]?.revision ?? "a";
        for (const { replicas, revision } of changes) {
          const set = db({ replicas });
          for (let round = 0; round < 120; round++) {
            const next = plan(set, pods, revision, current);
            current = next.status.currentRevision;
            expect(next.create.length + next.remove.length).toBeLessThanOrEqual(1);
            const gone = new Set(removed(next));
            pods = pods.filter(({ metadata }) => !gone.has(metadata.name));
            pods.push(...next.create.map(({ ordinal, revision: of }) => pod(ordinal, false, of)));
            pods = pods.map((one) =>
              coins.next().value
                ? pod(
                    Number(one.metadata.name.slice(3)),
                    true,
                    one.metadata.labels?.["controller-revision-hash"],
                  )
                : one,
            );
          }
          const names = pods.map(({ metadata }) => metadata.name).sort();
          expect(names).toEqual(Array.from({ length: replicas }, (_, ordinal) => `db-${ordinal}`));
          expect(
            pods.every(({ metadata }) => metadata.labels?.["controller-revision-hash"] === revision),
          ).toBe(true);
        }
      },
    ),
    { numRuns: 50 },
  );
});
