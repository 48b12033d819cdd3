import type { Milliseconds } from "../../lib/units.ts";
import { type BackOffLimits, restartDelay } from "./back-off.ts";
import { type ContainerRecord, containersOf, type PodSpec } from "./container.ts";

/** What a pod needs next: which containers to start now, which to wait for, whether it is over. */
export interface PodPlan {
  readonly start: readonly { readonly name: string; readonly backOff: Milliseconds }[];
  /** Containers held back by their crashes, and until when (epoch milliseconds). */
  readonly held: readonly { readonly name: string; readonly until: number; readonly backOff: Milliseconds }[];
  /** Set when every container that counts has ended for good; sidecars are then stopped. */
  readonly outcome?: "Succeeded" | "Failed";
  /** Why the pod as a whole failed, where no container says it. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

type Step = "none" | "start" | "done" | "failed";

/**
 * Decides what to start, by the kubelet's rules.
 *
 * Init containers one after the other; a sidecar counts as done once it has started; then all app containers
 * at once. What ended is restarted by `restartPolicy`, a sidecar always.
 */
export function planPod(
  spec: PodSpec,
  records: ReadonlyMap<string, ContainerRecord>,
  now: number,
  limits: BackOffLimits,
): PodPlan {
  const policy = spec.restartPolicy ?? "Always";
  const containers = containersOf(spec).flatMap(({ container }) => records.get(container.name) ?? []);
  const apps = containers.filter(({ role }) => role === "app");
  const appSteps = apps.map((record) => nextStep(record, policy));
  if (apps.length > 0 && appSteps.every((step) => step === "done" || step === "failed")) {
    return { start: [], held: [], outcome: appSteps.includes("failed") ? "Failed" : "Succeeded" };
  }

  const wanted: ContainerRecord[] = [];
  let initialised = true;
  for (const record of containers.filter(({ role }) => role !== "app")) {
    const step = nextStep(record, policy);
    if (step === "failed") return { start: [], held: [], outcome: "Failed" };
    if (step === "start") wanted.push(record);
    const passed = record.role === "sidecar" ? record.started : step === "done";
    // Once an app container ran, init containers are history: only sidecars are kept alive.
    if (!passed && !appsBegan(apps)) {
      initialised = false;
      break;
    }
  }
  if (initialised) wanted.push(...apps.filter((_, index) => appSteps[index] === "start"));

  const delayed = wanted.map((record) => {
    const backOff = restartDelay(record, limits);
    const until = record.situation.kind === "terminated" ? record.situation.finishedAt + backOff : 0;
    return { name: record.name, backOff, until };
  });
  return {
    start: delayed.filter(({ until }) => until <= now).map(({ name, backOff }) => ({ name, backOff })),
    held: delayed.filter(({ until }) => until > now),
  };
}

function nextStep({ role, situation }: ContainerRecord, policy: string): Step {
  if (situation.kind === "running") return "none";
  if (situation.kind === "waiting") return "start";
  if (role === "sidecar") return "start";
  const succeeded = situation.exitCode === 0;
  if (role === "init") {
    if (succeeded) return "done";
    return policy === "Never" ? "failed" : "start";
  }
  if (policy === "Always") return "start";
  if (succeeded) return "done";
  return policy === "OnFailure" ? "start" : "failed";
}

function appsBegan(apps: readonly ContainerRecord[]): boolean {
  return apps.some(({ attempt }) => attempt >= 0);
}

/** When `activeDeadlineSeconds` ends a pod, epoch milliseconds; undefined without one. */
export function deadlineOf(
  { activeDeadlineSeconds }: Pick<PodSpec, "activeDeadlineSeconds">,
  startTime: string | undefined,
): number | undefined {
  const started = Date.parse(startTime ?? "");
  if (activeDeadlineSeconds === undefined || Number.isNaN(started)) return undefined;
  return started + activeDeadlineSeconds * 1000;
}

/** The plan of a pod that has been active for too long. */
export const deadlineExceeded: PodPlan = {
  start: [],
  held: [],
  outcome: "Failed",
  failure: {
    reason: "DeadlineExceeded",
    message: "Pod was active on the node longer than the specified deadline",
  },
};
