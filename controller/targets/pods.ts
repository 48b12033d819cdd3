import {
  type ContainerStatus,
  ControllerRevisionKind,
  type DaemonSet,
  type Deployment,
  type Pod,
  PodKind,
  type PodTemplateSpec,
  type ReplicaSet,
  ReplicaSetKind,
  type StatefulSet,
} from "../../api/core.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { digestOf } from "../revision.ts";

/** A pod that will not serve without somebody's help. */
export interface PodFailure {
  readonly pod: string;
  readonly container: string;
  /** Kubernetes' own word, e.g. `CrashLoopBackOff`. */
  readonly reason: string;
  readonly message: string;
}

/** What the pods of a workload's newest template do. */
export interface PodsObservation {
  readonly failure?: PodFailure;
  /** Pods whose Ready condition holds and that are not being deleted; undefined where nobody has said yet. */
  readonly ready?: number;
}

const hashLabel = "pod-template-hash";

/** Waiting reasons that do not pass by waiting. */
const fatalReasons = new Set([
  "CrashLoopBackOff",
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);

/**
 * The pods of the ReplicaSet that has the Deployment's present template; those of an older template are not
 * counted, so that their failures are not held against a new revision.
 */
export function observePods(deployment: Deployment, snapshot: Snapshot): PodsObservation {
  const { uid, generation = 0 } = deployment.metadata;
  const { spec, status } = deployment;
  const template = spec?.template;
  if (uid === undefined || template === undefined) return {};
  const wanted = digestOf(template);
  const current = snapshot
    .ownedBy(ReplicaSetKind, uid)
    .filter((replicaSet) => templateDigest(replicaSet) === wanted);
  if (current.length === 0) {
    const isNews = (status?.observedGeneration ?? 0) >= generation;
    return isNews && (spec?.replicas ?? 1) > 0 ? { ready: status?.readyReplicas ?? 0 } : {};
  }
  const pods = current.flatMap(({ metadata }) =>
    metadata.uid === undefined ? [] : snapshot.ownedBy(PodKind, metadata.uid),
  );
  const alive = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const failure = alive.map(podFailure).find((found) => found !== undefined);
  return {
    ready: alive.filter(isReady).length,
    ...(failure && { failure }),
  };
}

const revisionLabel = "controller-revision-hash";

/**
 * The pods that a DaemonSet or StatefulSet owns itself and that have its newest template.
 *
 * `revision` is what the workload says of it; else its newest ControllerRevision does.
 */
export function observeOwnedPods(
  { metadata, status }: DaemonSet | StatefulSet,
  revision: string | undefined,
  snapshot: Snapshot,
): PodsObservation {
  const { uid, generation = 0 } = metadata;
  if (uid === undefined || (status?.observedGeneration ?? 0) < generation) return {};
  const newest = snapshot.ownedBy(ControllerRevisionKind, uid).toSorted((a, b) => b.revision - a.revision)[0];
  const wanted = revision ?? newest?.metadata.labels?.[revisionLabel];
  const alive = snapshot
    .ownedBy(PodKind, uid)
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .filter((pod) => wanted === undefined || pod.metadata.labels?.[revisionLabel] === wanted);
  const owned = snapshot.ownedBy(PodKind, uid).length;
  const failure = alive.map(podFailure).find((found) => found !== undefined);
  return {
    // Where pods are not watched one by one, the workload's own count is all there is.
    ready: owned === 0 ? readyOf(status) : alive.filter(isReady).length,
    ...(failure && { failure }),
  };
}

function readyOf(status: (DaemonSet | StatefulSet)["status"]): number {
  if (status === undefined) return 0;
  return ("numberReady" in status ? status.numberReady : status.readyReplicas) ?? 0;
}

const digests = new WeakMap<ReplicaSet, string>();

/** Of the template as the Deployment has it. */
function templateDigest(replicaSet: ReplicaSet): string {
  const known = digests.get(replicaSet);
  if (known !== undefined) return known;
  const digest = digestOf(withoutHash(replicaSet) ?? {});
  digests.set(replicaSet, digest);
  return digest;
}

function withoutHash({ spec }: ReplicaSet): PodTemplateSpec | undefined {
  const template = spec?.template;
  const { [hashLabel]: _hash, ...labels } = template?.metadata?.labels ?? {};
  return template && { ...template, metadata: { ...template.metadata, labels } };
}

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

function podFailure(pod: Pod): PodFailure | undefined {
  const { status } = pod;
  for (const container of [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]) {
    const waiting = container.state?.waiting;
    if (waiting?.reason !== undefined && fatalReasons.has(waiting.reason)) {
      return {
        pod: pod.metadata.name,
        container: container.name,
        reason: waiting.reason,
        message: waiting.message ?? lastWords(container),
      };
    }
  }
  return undefined;
}

function lastWords({ lastState }: ContainerStatus): string {
  const ended = lastState?.terminated;
  return ended === undefined
    ? ""
    : `last exit code ${ended.exitCode}${ended.reason ? ` (${ended.reason})` : ""}`;
}
