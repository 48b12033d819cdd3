import type { DaemonSet, Node, Pod } from "../../../api/core.ts";
import { availableAt, isOver, isReady } from "../pod-facts.ts";
import { revisionLabel } from "../revision-history.ts";
import { belongsOn, nodeOf } from "./nodes.ts";

export interface DaemonSetInput {
  readonly daemonSet: DaemonSet;
  readonly nodes: readonly Node[];
  /** Those that it controls. */
  readonly pods: readonly Pod[];
  /** Of the current template. */
  readonly hash: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface DaemonSetPlan {
  /** Names of the nodes that need a pod. */
  readonly create: readonly string[];
  readonly remove: readonly Pod[];
  /** Those of `remove` that had failed, for their event. */
  readonly failed: readonly Pod[];
  readonly status: DaemonSetCounts;
  /** When a ready pod becomes available by time alone, epoch milliseconds. */
  readonly recheckAt?: number;
}

export interface DaemonSetCounts {
  readonly observedGeneration: number;
  readonly currentNumberScheduled: number;
  readonly desiredNumberScheduled: number;
  readonly numberMisscheduled: number;
  readonly numberReady: number;
  readonly updatedNumberScheduled: number;
  readonly numberAvailable: number;
  readonly numberUnavailable: number;
}

/** Decides one round of a DaemonSet: one pod on each node that it belongs on, updated a few nodes at a time. */
export function planDaemonSet(input: DaemonSetInput): DaemonSetPlan {
  const { daemonSet, nodes, pods, now } = input;
  const wanted = nodes.filter((node) => belongsOn(daemonSet, node)).map(({ metadata }) => metadata.name);
  const byNode = Map.groupBy(pods, nodeOf);
  const { minReadySeconds = 0 } = daemonSet.spec ?? {};
  const isAvailable = (pod: Pod) => (availableAt(pod, minReadySeconds) ?? Number.POSITIVE_INFINITY) <= now;
  const status = countPods(input, wanted, byNode, isAvailable);
  const times = pods.map((pod) => availableAt(pod, minReadySeconds) ?? 0).filter((at) => at > now);
  const recheckAt = times.length === 0 ? {} : { recheckAt: Math.min(...times) };
  if (daemonSet.metadata.deletionTimestamp !== undefined) {
    return { create: [], remove: [], failed: [], status, ...recheckAt };
  }
  const staying = (node: string) => (byNode.get(node) ?? []).filter(stays);
  const failed = pods.filter((pod) => stays(pod) && isOver(pod));
  const stray = [...byNode]
    .filter(([node]) => !wanted.includes(node))
    .flatMap(([, onNode]) => onNode.filter(stays));
  const missing = wanted.filter((node) => (byNode.get(node) ?? []).length === 0);
  const update = missing.length + failed.length > 0 ? none : planUpdate(input, wanted, staying, isAvailable);
  return {
    create: [...missing, ...update.create],
    remove: [...new Set([...failed, ...stray, ...update.remove])],
    failed,
    status,
    ...recheckAt,
  };
}

const none = { create: [], remove: [] };

/** Old pods go while no more than maxUnavailable nodes lack a pod; with maxSurge the new one comes first. */
function planUpdate(
  { daemonSet, hash }: DaemonSetInput,
  wanted: readonly string[],
  staying: (node: string) => readonly Pod[],
  isAvailable: (pod: Pod) => boolean,
): { create: readonly string[]; remove: readonly Pod[] } {
  const { type, rollingUpdate } = daemonSet.spec?.updateStrategy ?? {};
  if (type === "OnDelete") return none;
  const isNew = (pod: Pod) => pod.metadata.labels?.[revisionLabel] === hash;
  const surge = share(rollingUpdate?.maxSurge ?? 0, wanted.length);
  const outdated = wanted.filter((node) => staying(node).some((pod) => !isNew(pod)));
  if (surge > 0) {
    const done = outdated.filter((node) => staying(node).some((pod) => isNew(pod) && isAvailable(pod)));
    const surging = outdated.filter((node) => staying(node).some(isNew)).length;
    const dead = outdated.filter((node) => !staying(node).some(isNew));
    return {
      create: dead.slice(0, Math.max(0, surge - surging)),
      remove: done.flatMap((node) => staying(node).filter((pod) => !isNew(pod))),
    };
  }
  const most = Math.max(1, share(rollingUpdate?.maxUnavailable ?? 1, wanted.length));
  const broken = (node: string) => !staying(node).some(isAvailable);
  const first = outdated.filter(broken);
  const room = most - wanted.filter(broken).length;
  const next = outdated.filter((node) => !broken(node)).slice(0, Math.max(0, room));
  return {
    create: [],
    remove: [...first, ...next].flatMap((node) => staying(node).filter((pod) => !isNew(pod))),
  };
}

/** A count or a percentage of `total`, rounded up. */
function share(value: unknown, total: number): number {
  const text = String(value);
  return text.endsWith("%") ? Math.ceil((Number(text.slice(0, -1)) * total) / 100) : Number(text) || 0;
}

function countPods(
  { daemonSet, hash }: DaemonSetInput,
  wanted: readonly string[],
  byNode: ReadonlyMap<string, readonly Pod[]>,
  isAvailable: (pod: Pod) => boolean,
): DaemonSetCounts {
  const onNodes = wanted.map((node) => byNode.get(node) ?? []);
  const count = (test: (pod: Pod) => boolean) => onNodes.filter((onNode) => onNode.some(test)).length;
  const numberAvailable = count((pod) => stays(pod) && isReady(pod) && isAvailable(pod));
  return {
    observedGeneration: daemonSet.metadata.generation ?? 0,
    currentNumberScheduled: onNodes.filter((onNode) => onNode.length > 0).length,
    desiredNumberScheduled: wanted.length,
    numberMisscheduled: [...byNode].filter(([node, onNode]) => !wanted.includes(node) && onNode.length > 0)
      .length,
    numberReady: count((pod) => stays(pod) && isReady(pod)),
    updatedNumberScheduled: count((pod) => stays(pod) && pod.metadata.labels?.[revisionLabel] === hash),
    numberAvailable,
    numberUnavailable: wanted.length - numberAvailable,
  };
}

function stays({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp === undefined;
}
