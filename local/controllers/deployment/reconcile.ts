import {
  type Deployment,
  DeploymentKind,
  PodKind,
  type ReplicaSet,
  ReplicaSetKind,
} from "../../../api/core.ts";
import { isAlreadyExists, isConflict, isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import { controllerOf } from "../../../kube/snapshot.ts";
import { type Controller, type ControllerContext, queueKey, splitKey } from "../context.ts";
import { Dependents, watchDependents } from "../dependents.ts";
import { saysAlready } from "../status.ts";
import { asksNothingNew, together } from "../together.ts";
import { rolloutLimits } from "./limits.ts";
import { type DeploymentPlan, planDeployment } from "./plan.ts";
import { revisionAnnotation, sizeAnnotations } from "./revision.ts";
import { wanted } from "./rolling-update.ts";
import type { DeploymentStatus } from "./status.ts";
import { equalTemplates } from "./template-hash.ts";

/** Rolls Deployments out. The caller has started the watches. */
export function startDeployments(context: ControllerContext): Controller {
  const { client, informers, recorder, logger, clock } = context;
  const owned = new Dependents(context, ReplicaSetKind);
  const queue = createQueue({ process: reconcile, logger, clock });

  async function reconcile(key: string): Promise<{ after: number } | undefined> {
    const [namespace, name] = splitKey(key);
    const snapshot = informers.snapshot();
    const deployment = snapshot.get(DeploymentKind, namespace, name);
    if (!deployment) return undefined;
    const replicaSets = await owned.claim(deployment, DeploymentKind, deployment.spec?.selector);
    const podsOf = (replicaSet: ReplicaSet) => snapshot.ownedBy(PodKind, replicaSet.metadata.uid ?? "");
    const plan = planDeployment({ deployment, replicaSets, podsOf, now: clock.now() });
    try {
      await apply(deployment, plan);
    } catch (error) {
      // Decided on an old version: the newer one is about to come, or has come meanwhile.
      if (isConflict(error)) return { after: 20 };
      throw error;
    }
    // A new or another size is answered by ReplicaSets at once: the status is written when that is seen.
    if (plan.create || plan.scale.length > 0) queue.addWithin(key, together);
    else await writeStatus(deployment, plan.status);
    return plan.recheckAt === undefined ? undefined : { after: plan.recheckAt - clock.now() + 5 };
  }

  async function apply(deployment: Deployment, plan: DeploymentPlan): Promise<void> {
    if (plan.revision !== undefined) await writeRevision(deployment, plan.revision);
    if (plan.create) await create(deployment, plan.create);
    for (const { replicaSet, replicas } of plan.scale) await scale(deployment, replicaSet, replicas);
    if (plan.annotate && plan.scale.length === 0) {
      const { replicaSet, annotations } = plan.annotate;
      await patchReplicaSet(replicaSet, { metadata: { annotations } });
    }
    for (const { metadata } of plan.remove) {
      await client.delete(
        ReplicaSetKind,
        metadata.namespace,
        metadata.name,
        metadata.uid === undefined ? {} : { uid: metadata.uid },
      );
    }
  }

  async function create(deployment: Deployment, replicaSet: ReplicaSet): Promise<void> {
    try {
      const created = await client.create(ReplicaSetKind, replicaSet);
      owned.wrote(created);
      scaled(deployment, created, 0, wanted(created));
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      await resolveCollision(deployment, replicaSet);
    }
  }

  /** The name is taken: by this very ReplicaSet, which the watch has not told yet, or by a stranger, which another hash avoids. */
  async function resolveCollision(deployment: Deployment, replicaSet: ReplicaSet): Promise<void> {
    const { namespace, name } = replicaSet.metadata;
    const held = await client.get(ReplicaSetKind, namespace, name);
    if (!held) throw new Error(`replica set ${name} came and went: trying again`);
    const own = controllerOf(held) === deployment.metadata.uid;
    if (own && equalTemplates(held.spec?.template, replicaSet.spec?.template)) {
      owned.wrote(held);
      queue.add(queueKey(deployment));
      return;
    }
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    const { metadata } = deployment;
    await client.patch(
      DeploymentKind,
      metadata.namespace,
      metadata.name,
      { kind: "merge", body: { status: { collisionCount } } },
      "status",
    );
  }

  async function scale(deployment: Deployment, replicaSet: ReplicaSet, replicas: number): Promise<void> {
    const annotations = sizeAnnotations(deployment, rolloutLimits(deployment).surge);
    await patchReplicaSet(replicaSet, { metadata: { annotations }, spec: { replicas } });
    scaled(deployment, replicaSet, wanted(replicaSet), replicas);
  }

  /** With the version that was read, so that a decision on an old one is refused and taken again. */
  async function patchReplicaSet(
    replicaSet: ReplicaSet,
    change: { metadata?: object; spec?: object },
  ): Promise<void> {
    const { namespace, name, resourceVersion } = replicaSet.metadata;
    const body = { ...change, metadata: { ...change.metadata, resourceVersion } };
    owned.wrote(await client.patch(ReplicaSetKind, namespace, name, { kind: "merge", body }));
  }

  async function writeRevision({ metadata }: Deployment, revision: string): Promise<void> {
    const body = { metadata: { annotations: { [revisionAnnotation]: revision } } };
    await client.patch(DeploymentKind, metadata.namespace, metadata.name, { kind: "merge", body });
  }

  function scaled(deployment: Deployment, { metadata }: ReplicaSet, from: number, to: number): void {
    const direction = to > from ? "up" : "down";
    if (from === to) return;
    const message = `Scaled ${direction} replica set ${metadata.name} from ${from} to ${to}`;
    recorder.event(deployment, "Normal", "ScalingReplicaSet", message);
  }

  async function writeStatus(
    { metadata, status: before }: Deployment,
    status: DeploymentStatus,
  ): Promise<void> {
    if (saysAlready(before, status)) return;
    try {
      await client.patch(
        DeploymentKind,
        metadata.namespace,
        metadata.name,
        { kind: "merge", body: { status } },
        "status",
      );
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }

  const stop = [
    informers.onChange(DeploymentKind, (change) => {
      const key = queueKey(change.object);
      if (asksNothingNew(change)) queue.addWithin(key, together);
      else queue.add(key);
    }),
    watchDependents({
      informers,
      kind: ReplicaSetKind,
      ownerKind: DeploymentKind,
      selectorOf: ({ spec }) => spec?.selector,
      add: (key) => queue.addWithin(key, together),
    }),
    // Recreate waits for the last old pod.
    informers.onChange(PodKind, ({ kind, object }) => {
      if (kind !== "deleted") return;
      const owner = object.metadata.ownerReferences?.find(
        ({ controller, kind: of }) => controller && of === "ReplicaSet",
      );
      const replicaSet =
        owner && informers.snapshot().get(ReplicaSetKind, object.metadata.namespace, owner.name);
      if (replicaSet) addOwner(replicaSet.metadata.namespace, replicaSet.metadata.ownerReferences);
    }),
  ];

  function addOwner(
    namespace: string | undefined,
    references: ReplicaSet["metadata"]["ownerReferences"] = [],
  ): void {
    const owner = references.find(({ controller, kind }) => controller && kind === "Deployment");
    if (owner) queue.add(`${namespace}/${owner.name}`);
  }
  for (const deployment of informers.snapshot().list(DeploymentKind)) queue.add(queueKey(deployment));

  return {
    async close() {
      for (const end of stop) end();
      owned.close();
      await queue.close();
    },
  };
}
