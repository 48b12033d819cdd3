import type { ContainerStatus, Pod } from "../../api/core.ts";
import type { Milliseconds } from "../../lib/units.ts";
import { podConditions } from "./conditions.ts";
import {
  type Container,
  type ContainerRecord,
  type ContainerState,
  containersOf,
  type Situation,
} from "./container.ts";
import type { PodPlan } from "./plan.ts";

export interface StatusInput {
  readonly pod: Pod;
  readonly records: ReadonlyMap<string, ContainerRecord>;
  readonly plan: Pick<PodPlan, "held" | "outcome" | "failure">;
  /** What was written last, where the pod may be older. */
  readonly before?: PodStatus | undefined;
  readonly podIp: string;
  readonly hostIp: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

export type PodStatus = NonNullable<Pod["status"]>;

/** The status of a pod, as a kubelet writes it. */
export function podStatus({ pod, records, plan, before, podIp, hostIp, now }: StatusInput): PodStatus {
  const containers = pod.spec ? containersOf(pod.spec) : [];
  const statuses = containers.flatMap(({ container, role }) => {
    const record = records.get(container.name);
    return record ? [{ role, status: containerStatus(pod, container, record, plan.held) }] : [];
  });
  const list = [...records.values()];
  const phase = plan.outcome ?? phaseOf(list, pod.spec?.restartPolicy ?? "Always");
  const init = statuses.filter(({ role }) => role !== "app").map(({ status }) => status);
  return {
    phase,
    ...plan.failure,
    startTime: before?.startTime ?? pod.status?.startTime ?? rfc3339(now),
    hostIP: hostIp,
    hostIPs: [{ ip: hostIp }],
    podIP: podIp,
    podIPs: [{ ip: podIp }],
    qosClass: pod.status?.qosClass ?? "BestEffort",
    conditions: podConditions({
      records: list,
      phase,
      gates: (pod.spec?.readinessGates ?? []).map(({ conditionType }) => conditionType),
      before: [...conditionsOf(before), ...conditionsOf(pod.status)],
      now: rfc3339(now),
    }) as NonNullable<PodStatus["conditions"]>,
    ...(init.length > 0 ? { initContainerStatuses: init } : {}),
    containerStatuses: statuses.filter(({ role }) => role === "app").map(({ status }) => status),
  };
}

/** The strategic merge patch that writes `status`: conditions merge by type, so what a condition lacks is cleared by null. */
export function statusPatch(status: PodStatus): unknown {
  const conditions = (status.conditions ?? []).map((condition) => ({
    reason: null,
    message: null,
    ...condition,
  }));
  return { ...status, conditions };
}

/** Pending until each app container has run once; Running while one may still run. */
function phaseOf(
  records: readonly ContainerRecord[],
  restartPolicy: string,
): "Pending" | "Running" | "Succeeded" | "Failed" {
  const apps = records.filter(({ role }) => role === "app");
  if (apps.some(({ attempt }) => attempt < 0)) return "Pending";
  if (restartPolicy === "Always" || apps.some(({ situation }) => situation.kind !== "terminated"))
    return "Running";
  const failed = apps.some(({ situation }) => situation.kind === "terminated" && situation.exitCode !== 0);
  if (!failed) return "Succeeded";
  return restartPolicy === "Never" ? "Failed" : "Running";
}

function containerStatus(
  pod: Pod,
  { name, image = "" }: Container,
  record: ContainerRecord,
  held: PodPlan["held"],
): ContainerStatus {
  const { situation, last, attempt, ready, started } = record;
  const backingOff = held.find((entry) => entry.name === name);
  const containerID = containerId(pod, name, attempt);
  const crashed = backingOff && situation.kind === "terminated";
  const previous = crashed ? situation : last;
  return {
    name,
    image,
    imageID: "",
    ...(containerID === undefined ? {} : { containerID }),
    ready:
      situation.kind === "running"
        ? ready
        : record.role === "init" && situation.kind === "terminated" && situation.exitCode === 0,
    started: situation.kind === "running" && started,
    restartCount: Math.max(attempt, 0),
    state: crashed ? crashLoop(pod, name, backingOff.backOff) : stateOf(situation, containerID),
    lastState: previous ? stateOf(previous, containerId(pod, name, crashed ? attempt : attempt - 1)) : {},
  };
}

function crashLoop(pod: Pod, container: string, backOff: Milliseconds): ContainerState {
  const { name, namespace, uid } = pod.metadata;
  const wait =
    backOff >= 60_000
      ? `${Math.floor(backOff / 60_000)}m${Math.round((backOff % 60_000) / 1000)}s`
      : `${Math.round(backOff / 1000)}s`;
  const message = `back-off ${wait} restarting failed container=${container} pod=${name}_${namespace}(${uid})`;
  return { waiting: { reason: "CrashLoopBackOff", message } };
}

function stateOf(situation: Situation, containerID: string | undefined): ContainerState {
  switch (situation.kind) {
    case "waiting": {
      const { reason, message } = situation;
      return { waiting: { reason, ...(message === undefined ? {} : { message }) } };
    }
    case "running":
      return { running: { startedAt: rfc3339(situation.startedAt) } };
    case "terminated": {
      const { exitCode, reason, message, startedAt, finishedAt } = situation;
      return {
        terminated: {
          exitCode,
          reason,
          ...(message === undefined ? {} : { message }),
          startedAt: rfc3339(startedAt),
          finishedAt: rfc3339(finishedAt),
          ...(containerID === undefined ? {} : { containerID }),
        },
      };
    }
  }
}

/** Tells one attempt from another, as a container runtime's id does. */
function containerId(pod: Pod, name: string, attempt: number): string | undefined {
  return attempt < 0 ? undefined : `process://${pod.metadata.uid}/${name}/${attempt}`;
}

function conditionsOf(status: PodStatus | undefined): Parameters<typeof podConditions>[0]["before"] {
  return (status?.conditions ?? []).map(({ type, status: value, lastTransitionTime }) => ({
    type,
    status: value === "True" ? "True" : value === "False" ? "False" : "Unknown",
    ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
  }));
}

function rfc3339(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace(/\.\d+Z$/, "Z");
}
