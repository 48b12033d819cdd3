import type { ContainerStatus, Pod } from "../../api/core.ts";

export type PodSpec = NonNullable<Pod["spec"]>;
export type Container = PodSpec["containers"][number];
export type Volume = NonNullable<PodSpec["volumes"]>[number];
export type EnvironmentVariable = NonNullable<Container["env"]>[number];
export type Probe = NonNullable<Container["livenessProbe"]>;
export type LifecycleHandler = NonNullable<NonNullable<Container["lifecycle"]>["preStop"]>;
export type ContainerState = NonNullable<ContainerStatus["state"]>;

/** `init` runs to its end before the next; `sidecar` is an init container that stays; `app` is what the pod is for. */
export type Role = "init" | "sidecar" | "app";

/** Where a container stands. Reasons are the kubelet's words. */
export type Situation =
  | { readonly kind: "waiting"; readonly reason: string; readonly message?: string }
  | { readonly kind: "running"; readonly startedAt: number }
  | Terminated;

export interface Terminated {
  readonly kind: "terminated";
  readonly exitCode: number;
  readonly reason: string;
  readonly message?: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly finishedAt: number;
}

/** What is known of one container of a pod. A value: the pod's worker replaces it. */
export interface ContainerRecord {
  readonly name: string;
  readonly role: Role;
  readonly situation: Situation;
  /** How the attempt before the current one ended. */
  readonly last?: Terminated;
  /** Number of the current or last attempt; -1 before the first. */
  readonly attempt: number;
  /** Milliseconds waited before that attempt. */
  readonly backOff: number;
  /** Whether its end was asked for (`fairlead down`), so that it is no crash. */
  readonly stoppedOnPurpose: boolean;
  /** Whether the startup probe passed (or there is none and postStart is done). */
  readonly started: boolean;
  /** Whether the readiness probe passes. */
  readonly ready: boolean;
}

/** A container that has not been started yet. */
export function newRecord(name: string, role: Role): ContainerRecord {
  return {
    name,
    role,
    situation: {
      kind: "waiting",
      reason: role === "init" || role === "sidecar" ? "PodInitializing" : "ContainerCreating",
    },
    attempt: -1,
    backOff: 0,
    stoppedOnPurpose: false,
    started: false,
    ready: false,
  };
}

/** A pod's containers in the order in which they start, with their roles. */
export function containersOf(
  spec: PodSpec,
): readonly { readonly container: Container; readonly role: Role }[] {
  const init = (spec.initContainers ?? []).map((container) => {
    const role: Role = container.restartPolicy === "Always" ? "sidecar" : "init";
    return { container, role };
  });
  return [...init, ...spec.containers.map((container) => ({ container, role: "app" as const }))];
}
