import type { Deployment, ReplicaSet } from "../../../api/core.ts";
import type { Condition } from "../../../api/resource.ts";
import { rolloutLimits } from "./limits.ts";

export interface DeploymentStatusInput {
  readonly deployment: Deployment;
  /** Of the current template; undefined before it exists. */
  readonly fresh: ReplicaSet | undefined;
  readonly all: readonly ReplicaSet[];
  /** The current template's ReplicaSet is made in this round. */
  readonly created: boolean;
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface DeploymentStatus {
  readonly observedGeneration: number;
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly unavailableReplicas: number;
  readonly conditions: readonly Condition[];
}

type Counts = Omit<DeploymentStatus, "conditions">;

/** The status of a Deployment with its conditions Available and Progressing, as Kubernetes' controller writes them. */
export function deploymentStatus(input: DeploymentStatusInput): DeploymentStatus {
  const { deployment, fresh, all } = input;
  const count = (field: "replicas" | "readyReplicas" | "availableReplicas") =>
    all.reduce((total, { status }) => total + (status?.[field] ?? 0), 0);
  const replicas = deployment.spec?.replicas ?? 1;
  const spec = all.reduce((total, replicaSet) => total + (replicaSet.spec?.replicas ?? 0), 0);
  const availableReplicas = count("availableReplicas");
  const counts: Counts = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: count("replicas"),
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: count("readyReplicas"),
    availableReplicas,
    unavailableReplicas: Math.max(0, spec - availableReplicas),
  };
  const enough = availableReplicas >= replicas - rolloutLimits(deployment).unavailable;
  const available: Answer = enough
    ? { status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." }
    : {
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
  const progressing = progress(input, counts);
  return {
    ...counts,
    conditions: [
      stamp(deployment, "Available", available, input.now, false),
      ...(progressing
        ? [stamp(deployment, "Progressing", progressing, input.now, progressing.touched ?? false)]
        : []),
      ...replicaFailure(input).map((failure) =>
        stamp(deployment, "ReplicaFailure", failure, input.now, false),
      ),
    ],
  };
}

/** Seconds without progress before a rollout counts as stuck; what Kubernetes puts in where none is given. */
const defaultDeadlineSeconds = 600;

/** When Progressing turns False by time alone, epoch milliseconds; undefined for a rollout that is done or already late. */
export function deadlineOf({ spec }: Deployment, { conditions }: DeploymentStatus): number | undefined {
  const condition = conditions.find(({ type }) => type === "Progressing");
  if (condition === undefined || condition.status === "False") return undefined;
  if (condition.reason === "NewReplicaSetAvailable" || condition.reason === paused.reason) return undefined;
  return (
    Date.parse(condition.lastUpdateTime ?? "") +
    (spec?.progressDeadlineSeconds ?? defaultDeadlineSeconds) * 1000
  );
}

interface Answer {
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
  /** Progress was made: `lastUpdateTime` moves. */
  readonly touched?: boolean;
}

const paused: Answer = { status: "Unknown", reason: "DeploymentPaused", message: "Deployment is paused" };
const resumed: Answer = { status: "Unknown", reason: "DeploymentResumed", message: "Deployment is resumed" };

/** Why pods cannot be made, as the ReplicaSets tell it; the current template's word counts first. */
function replicaFailure({ fresh, all }: DeploymentStatusInput): readonly Answer[] {
  const told = [...(fresh ? [fresh] : []), ...all].flatMap(({ status }) => status?.conditions ?? []);
  const failure = told.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  if (!failure) return [];
  const { reason = "", message = "" } = failure;
  return [{ status: "True", reason, message }];
}

function progress(
  { deployment, fresh, created, now }: DeploymentStatusInput,
  counts: Counts,
): Answer | undefined {
  const before = deployment.status?.conditions?.find(({ type }) => type === "Progressing");
  const name = fresh?.metadata.name ?? "";
  const title = fresh ? `ReplicaSet "${name}"` : "Deployment";
  if (deployment.spec?.paused) return before?.reason === "ProgressDeadlineExceeded" ? keep(before) : paused;
  if (before?.reason === paused.reason) return { ...resumed, touched: true };
  if (created) {
    return {
      status: "True",
      reason: "NewReplicaSetCreated",
      message: `Created new replica set "${name}"`,
      touched: true,
    };
  }
  const replicas = deployment.spec?.replicas ?? 1;
  const complete =
    counts.updatedReplicas === replicas &&
    counts.replicas === replicas &&
    counts.availableReplicas === replicas;
  if (complete && fresh) {
    const already = before?.reason === "NewReplicaSetAvailable" && before.message?.startsWith(title);
    const message = `${title} has successfully progressed.`;
    return { status: "True", reason: "NewReplicaSetAvailable", message, touched: !already };
  }
  if (!before)
    return (
      fresh && {
        status: "True",
        reason: "FoundNewReplicaSet",
        message: `Found new replica set "${name}"`,
        touched: true,
      }
    );
  if (before.reason === "NewReplicaSetAvailable" && counts.updatedReplicas === counts.replicas)
    return keep(before);
  const old = deployment.status;
  const forward =
    counts.updatedReplicas > (old?.updatedReplicas ?? 0) ||
    counts.replicas - counts.updatedReplicas < (old?.replicas ?? 0) - (old?.updatedReplicas ?? 0) ||
    counts.readyReplicas > (old?.readyReplicas ?? 0) ||
    counts.availableReplicas > (old?.availableReplicas ?? 0);
  if (forward)
    return {
      status: "True",
      reason: "ReplicaSetUpdated",
      message: `${title} is progressing.`,
      touched: true,
    };
  const seconds = deployment.spec?.progressDeadlineSeconds ?? defaultDeadlineSeconds;
  const late = now - Date.parse(before.lastUpdateTime ?? "") >= seconds * 1000;
  if (!late || before.reason === "NewReplicaSetAvailable") return keep(before);
  return {
    status: "False",
    reason: "ProgressDeadlineExceeded",
    message: `${title} has timed out progressing.`,
  };
}

type StoredCondition = NonNullable<NonNullable<Deployment["status"]>["conditions"]>[number];

function keep({ status, reason = "", message = "" }: StoredCondition): Answer {
  const known = status === "True" || status === "False" ? status : "Unknown";
  return { status: known, reason, message };
}

/** Times move only with what they tell: `lastTransitionTime` with the status, `lastUpdateTime` with the reason or progress. */
function stamp(
  { status }: Deployment,
  type: string,
  answer: Answer,
  now: number,
  touched: boolean,
): Condition {
  const before = status?.conditions?.find((condition) => condition.type === type);
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const { touched: _, ...fields } = answer;
  const sameStatus = before?.status === answer.status;
  const same = sameStatus && before.reason === answer.reason && !touched;
  return {
    type,
    ...fields,
    lastUpdateTime: (same && before.lastUpdateTime) || time,
    lastTransitionTime: (sameStatus && before.lastTransitionTime) || time,
  };
}
