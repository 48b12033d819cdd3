import { expect, test } from "vitest";
import type { Deployment, Pod, ReplicaSet } from "../../../api/core.ts";
import { type DeploymentPlan, planDeployment } from "./plan.ts";
import { revisionOf } from "./revision.ts";
import { wanted } from "./rolling-update.ts";

const now = Date.parse("2026-01-01T00:10:00Z");

function web(image: string, fields: Partial<NonNullable<Deployment["spec"]>> = {}): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace: "shop", name: "web", uid: "d", generation: 2, annotations: { team: "a" } },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image }] } },
      ...fields,
    },
  };
}

function plan(
  deployment: Deployment,
  replicaSets: readonly ReplicaSet[] = [],
  pods: readonly Pod[] = [],
): DeploymentPlan {
  return planDeployment({ deployment, replicaSets, podsOf: () => pods, now });
}

/** The ReplicaSet that the plan makes, as the server would keep it, with all its pods available. */
function made(deployment: Deployment, age: number, replicas?: number): ReplicaSet {
  const { create } = plan(deployment);
  if (!create?.spec) throw new Error("nothing to make");
  const count = replicas ?? wanted(create);
  return {
    ...create,
    metadata: {
      ...create.metadata,
      uid: create.metadata.name,
      creationTimestamp: new Date(now - age).toISOString(),
    },
    spec: { ...create.spec, replicas: count },
    status: { replicas: count, readyReplicas: count, availableReplicas: count },
  };
}

test("the first round makes one ReplicaSet with the template's hash in name, labels and selector", () => {
  const { create, revision } = plan(web("v1"));
  const hash = create?.metadata.labels?.["pod-template-hash"];
  expect(hash).toMatch(/^[a-z0-9]{5,10}$/);
  expect(create?.metadata.name).toBe(`web-${hash}`);
  expect(create?.spec?.selector.matchLabels).toEqual({ app: "web", "pod-template-hash": hash });
  expect(create?.metadata.annotations?.team).toBe("a");
  expect([create && wanted(create), revision]).toEqual([3, "1"]);
});

test("a settled Deployment plans nothing, and says that it is complete", () => {
  const deployment = { ...web("v1"), status: {} };
  const round = plan(
    {
      ...deployment,
      metadata: {
        ...deployment.metadata,
        annotations: { team: "a", "deployment.kubernetes.io/revision": "1" },
      },
    },
    [made(deployment, 1000)],
  );
  expect(round).toMatchObject({ scale: [], remove: [] });
  expect([round.create, round.annotate, round.revision, round.recheckAt]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(round.status).toMatchObject({
    observedGeneration: 2,
    replicas: 3,
    updatedReplicas: 3,
    unavailableReplicas: 0,
  });
  expect(round.status.conditions.map(({ reason }) => reason)).toEqual([
    "MinimumReplicasAvailable",
    "NewReplicaSetAvailable",
  ]);
});

test("going back to an old template takes its ReplicaSet up again under a new revision", () => {
  const first = made(web("v1"), 2000, 0);
  const second = made(web("v2"), 1000);
  const numbered = {
    ...second,
    metadata: { ...second.metadata, annotations: { "deployment.kubernetes.io/revision": "2" } },
  };
  const round = plan(web("v1"), [first, numbered]);
  expect(round.create).toBeUndefined();
  expect(round.revision).toBe("3");
  expect(round.scale).toEqual([{ replicaSet: first, replicas: 1 }]);
  expect(revisionOf(numbered)).toBe(2);
});

test("Recreate makes the new ReplicaSet only when the last old pod is gone", () => {
  const recreate = { strategy: { type: "Recreate" } };
  const running = made(web("v1", recreate), 1000);
  expect(plan(web("v2", recreate), [running]).scale).toEqual([{ replicaSet: running, replicas: 0 }]);
  const emptied = made(web("v1", recreate), 1000, 0);
  const terminating: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", deletionTimestamp: "2026-01-01T00:00:00Z" },
  };
  expect(plan(web("v2", recreate), [emptied], [terminating]).create).toBeUndefined();
  expect(plan(web("v2", recreate), [emptied]).create).toBeDefined();
});

test("a rollout without progress for progressDeadlineSeconds is reported, not a moment sooner", () => {
  const stuck = made(web("v1"), 1000);
  const fresh = { ...stuck, status: { replicas: 3, readyReplicas: 0, availableReplicas: 0 } };
  const since = (seconds: number): Deployment => ({
    ...web("v1", { progressDeadlineSeconds: 60 }),
    status: {
      replicas: 3,
      updatedReplicas: 3,
      conditions: [
        {
          type: "Progressing",
          status: "True",
          reason: "ReplicaSetUpdated",
          lastUpdateTime: new Date(now - seconds * 1000).toISOString(),
        },
      ],
    },
  });
  const progressing = (deployment: Deployment) =>
    plan(deployment, [fresh]).status.conditions.find(({ type }) => type === "Progressing");
  expect(progressing(since(59))?.status).toBe("True");
  expect(plan(since(59), [fresh]).recheckAt).toBe(now + 1000);
  expect(progressing(since(60))).toMatchObject({ status: "False", reason: "ProgressDeadlineExceeded" });
});

test("old ReplicaSets beyond revisionHistoryLimit go once the rollout is done, the oldest first", () => {
  const olds = ["v1", "v2", "v3"].map((image, index) => {
    const old = made(web(image), 9000 - index, 0);
    return {
      ...old,
      metadata: { ...old.metadata, annotations: { "deployment.kubernetes.io/revision": String(index + 1) } },
    };
  });
  const current = made(web("v4"), 1);
  expect(plan(web("v4", { revisionHistoryLimit: 1 }), [...olds, current]).remove).toEqual(olds.slice(0, 2));
});

test("a paused Deployment says so, and that it goes on", () => {
  const progressing = (deployment: Deployment) =>
    plan(deployment, [made(web("v1"), 1000)]).status.conditions.find(({ type }) => type === "Progressing");
  const paused = progressing(web("v2", { paused: true }));
  expect(paused).toMatchObject({ status: "Unknown", reason: "DeploymentPaused" });
  const condition = { type: "Progressing", status: "Unknown", reason: "DeploymentPaused" };
  expect(progressing({ ...web("v1"), status: { conditions: [condition] } })).toMatchObject({
    status: "Unknown",
    reason: "DeploymentResumed",
  });
});

test("why pods cannot be made is told with the Deployment", () => {
  const replicaSet = made(web("v1"), 1000);
  const failure = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: "forbidden" };
  const failing = { ...replicaSet, status: { replicas: 0, conditions: [failure] } };
  expect(plan(web("v1"), [failing]).status.conditions.at(-1)).toMatchObject(failure);
  expect(plan(web("v1"), [replicaSet]).status.conditions).toHaveLength(2);
});
