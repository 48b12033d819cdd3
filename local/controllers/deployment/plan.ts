import type { Deployment, Pod, ReplicaSet } from "../../../api/core.ts";
import { isOver } from "../pod-facts.ts";
import { type RolloutLimits, rolloutLimits } from "./limits.ts";
import { planProportionalScaling, wasScaled } from "./proportional-scaling.ts";
import { newReplicaSet } from "./replica-set.ts";
import { replicaSetAnnotations, revisionOf } from "./revision.ts";
import { planRollingUpdate, type Scale, wanted } from "./rolling-update.ts";
import { type DeploymentStatus, deadlineOf, deploymentStatus } from "./status.ts";
import { equalTemplates } from "./template-hash.ts";

export interface DeploymentInput {
  readonly deployment: Deployment;
  /** Those that it owns. */
  readonly replicaSets: readonly ReplicaSet[];
  /** The pods of a ReplicaSet, also those that are on their way out. */
  readonly podsOf: (replicaSet: ReplicaSet) => readonly Pod[];
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What a Deployment needs next, in the order in which it is done. */
export interface DeploymentPlan {
  readonly create?: ReplicaSet;
  readonly scale: readonly Scale[];
  readonly annotate?: {
    readonly replicaSet: ReplicaSet;
    readonly annotations: Readonly<Record<string, string>>;
  };
  /** The Deployment's own revision annotation, where it must change. */
  readonly revision?: string;
  readonly remove: readonly ReplicaSet[];
  readonly status: DeploymentStatus;
  /** Epoch milliseconds. */
  readonly recheckAt?: number;
}

/** Decides one round of a Deployment. Pure: a round that finds nothing to do plans nothing. */
export function planDeployment(input: DeploymentInput): DeploymentPlan {
  const { deployment, now } = input;
  const owned = [...input.replicaSets].sort(byAge);
  const fresh = owned.find(({ spec }) => equalTemplates(spec?.template, deployment.spec?.template));
  const old = owned.filter((replicaSet) => replicaSet !== fresh);
  const paused = deployment.spec?.paused === true;
  const limits = rolloutLimits(deployment);
  const deleting = deployment.metadata.deletionTimestamp !== undefined;

  const revision = Math.max(0, ...old.map(revisionOf)) + 1;
  const create =
    !fresh && !paused && !deleting && mayCreate(input, old)
      ? createFresh(input, old, revision, limits)
      : undefined;
  const scale = deleting || create ? [] : planScale(input, fresh, old, limits);
  const current = fresh && revisionOf(fresh) >= revision ? revisionOf(fresh) : revision;
  const annotate = fresh && !paused && !deleting ? reAnnotate(deployment, fresh, current, limits) : undefined;
  const status = deploymentStatus({
    deployment,
    fresh: fresh ?? create,
    all: owned,
    created: create !== undefined,
    now,
  });
  const recheckAt = deadlineOf(deployment, status);
  const hasRevision = (fresh ?? create) !== undefined && revisionOf(deployment) !== current;
  return {
    ...(create ? { create } : {}),
    scale,
    ...(annotate ? { annotate } : {}),
    ...(hasRevision && !deleting ? { revision: String(current) } : {}),
    remove: scale.length === 0 && !create && !deleting ? outdated(deployment, status, old) : [],
    status,
    ...(recheckAt === undefined || deleting ? {} : { recheckAt }),
  };
}

function createFresh(
  input: DeploymentInput,
  old: readonly ReplicaSet[],
  revision: number,
  limits: RolloutLimits,
): ReplicaSet {
  const { deployment } = input;
  const { replicas = 1, strategy } = deployment.spec ?? {};
  const room = replicas + limits.surge - old.reduce((total, replicaSet) => total + wanted(replicaSet), 0);
  const first = strategy?.type === "Recreate" ? replicas : Math.max(0, Math.min(replicas, room));
  return newReplicaSet(deployment, first, replicaSetAnnotations(deployment, revision, limits.surge));
}

/** Recreate starts the new pods only when the old ones are gone. */
function mayCreate({ deployment, podsOf }: DeploymentInput, old: readonly ReplicaSet[]): boolean {
  if (deployment.spec?.strategy?.type !== "Recreate") return true;
  return old.every((replicaSet) => wanted(replicaSet) === 0 && podsOf(replicaSet).every(isOver));
}

function planScale(
  input: DeploymentInput,
  fresh: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  limits: RolloutLimits,
): readonly Scale[] {
  const { deployment } = input;
  const { replicas = 1, strategy, paused = false } = deployment.spec ?? {};
  if (strategy?.type !== "Recreate" && wasScaled(deployment, fresh ? [...old, fresh] : old)) {
    return planProportionalScaling(deployment, fresh, old, limits);
  }
  if (paused) return scalePaused(fresh, old, replicas);
  if (strategy?.type === "Recreate") {
    const running = old.filter((replicaSet) => wanted(replicaSet) > 0);
    if (running.length > 0) return running.map((replicaSet) => ({ replicaSet, replicas: 0 }));
    const grows = fresh && wanted(fresh) !== replicas && mayCreate(input, old);
    return grows ? [{ replicaSet: fresh, replicas }] : [];
  }
  return fresh ? planRollingUpdate(fresh, old, replicas, limits) : [];
}

/** A paused Deployment does not roll, but the one ReplicaSet that serves follows `replicas`. */
function scalePaused(
  fresh: ReplicaSet | undefined,
  old: readonly ReplicaSet[],
  replicas: number,
): readonly Scale[] {
  const all = fresh ? [...old, fresh] : old;
  const serving = all.filter((replicaSet) => wanted(replicaSet) > 0);
  const only = serving.length === 0 ? all.at(-1) : serving[0];
  return only && serving.length <= 1 && wanted(only) !== replicas ? [{ replicaSet: only, replicas }] : [];
}

function reAnnotate(deployment: Deployment, fresh: ReplicaSet, revision: number, { surge }: RolloutLimits) {
  const annotations = replicaSetAnnotations(deployment, revision, surge);
  const held = fresh.metadata.annotations ?? {};
  const differs = Object.entries(annotations).some(([name, value]) => held[name] !== value);
  return differs ? { replicaSet: fresh, annotations } : undefined;
}

/** Old ReplicaSets beyond `revisionHistoryLimit`, once the rollout is done. */
function outdated(
  deployment: Deployment,
  status: DeploymentStatus,
  old: readonly ReplicaSet[],
): readonly ReplicaSet[] {
  const { replicas = 1, revisionHistoryLimit = 10 } = deployment.spec ?? {};
  if (status.updatedReplicas !== replicas || status.replicas !== replicas) return [];
  const empty = old.filter(
    ({ spec, status: counts, metadata }) =>
      spec?.replicas === 0 && !counts?.replicas && metadata.deletionTimestamp === undefined,
  );
  const excess = empty.length - revisionHistoryLimit;
  return excess <= 0 ? [] : empty.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, excess);
}

function byAge(a: ReplicaSet, b: ReplicaSet): number {
  const [first = "", second = ""] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp];
  return first === second ? (a.metadata.name < b.metadata.name ? -1 : 1) : first < second ? -1 : 1;
}
