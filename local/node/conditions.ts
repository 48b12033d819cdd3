import type { Condition } from "../../api/resource.ts";
import type { ContainerRecord } from "./container.ts";

type PodPhase = "Pending" | "Running" | "Succeeded" | "Failed";

export interface ConditionInput {
  readonly records: readonly ContainerRecord[];
  readonly phase: PodPhase;
  /** `spec.readinessGates`. */
  readonly gates: readonly string[];
  /** Those that stand in the status now, others' included. */
  readonly before: readonly Condition[];
  /** RFC 3339. */
  readonly now: string;
}

type Answer = Pick<Condition, "status" | "reason" | "message">;

/**
 * The four conditions that the kubelet (and the scheduler) keep on a pod.
 *
 * `lastTransitionTime` changes only when `status` does.
 */
export function podConditions({ records, phase, gates, before, now }: ConditionInput): readonly Condition[] {
  const ready = containersReady(records, phase);
  const answers: [string, Answer][] = [
    ["PodScheduled", { status: "True" }],
    ["Initialized", initialized(records, phase)],
    ["ContainersReady", ready],
    ["Ready", podReady(ready, gates, before)],
  ];
  return answers.map(([type, answer]) => {
    const same = before.find((condition) => condition.type === type && condition.status === answer.status);
    return { type, ...answer, lastTransitionTime: same?.lastTransitionTime ?? now };
  });
}

function initialized(records: readonly ContainerRecord[], phase: PodPhase): Answer {
  if (phase === "Succeeded") return { status: "True", reason: "PodCompleted" };
  const appBegan = records.some(({ role, attempt }) => role === "app" && attempt >= 0);
  const incomplete = records.filter(({ role, situation, started }) => {
    if (role === "app" || appBegan) return false;
    return role === "sidecar" ? !started : !(situation.kind === "terminated" && situation.exitCode === 0);
  });
  if (incomplete.length === 0) return { status: "True" };
  return no("ContainersNotInitialized", `containers with incomplete status: [${names(incomplete)}]`);
}

function containersReady(records: readonly ContainerRecord[], phase: PodPhase): Answer {
  if (phase === "Succeeded") return no("PodCompleted");
  if (phase === "Failed") return no("PodFailed");
  const unready = records.filter(({ role, ready }) => role !== "init" && !ready);
  if (unready.length === 0) return { status: "True" };
  return no("ContainersNotReady", `containers with unready status: [${names(unready)}]`);
}

function podReady(containers: Answer, gates: readonly string[], before: readonly Condition[]): Answer {
  if (containers.status !== "True") return containers;
  const shut = gates.filter((gate) => before.find(({ type }) => type === gate)?.status !== "True");
  if (shut.length === 0) return { status: "True" };
  return no("ReadinessGatesNotReady", `readiness gates are not True: [${shut.join(" ")}]`);
}

function no(reason: string, message?: string): Answer {
  return { status: "False", reason, ...(message === undefined ? {} : { message }) };
}

function names(records: readonly ContainerRecord[]): string {
  return records.map(({ name }) => name).join(" ");
}
