import type { DaemonSet, Deployment, PodTemplateSpec, Service, StatefulSet } from "../../api/core.ts";
import type { Kind } from "../../api/resource.ts";
import type { JsonPatchOperation, Snapshot } from "../../kube/contract.ts";
import type { Milliseconds, Percent } from "../../lib/units.ts";
import { daemonSets } from "./daemon-set.ts";
import { deployments } from "./deployment.ts";
import type { PodsObservation } from "./pods.ts";
import type { Readiness } from "./readiness.ts";
import { type ServiceTemplate, services } from "./service.ts";
import { statefulSets } from "./stateful-set.ts";

/** A workload whose pods a Canary releases. */
export type Workload = Deployment | DaemonSet | StatefulSet;

/** What a Canary may name: a workload, or a Service whose pods are not ours. */
export type Target = Workload | Service;

/** What of a target is released: it is hashed, kept under its revision, and the primary is made of it. */
export type Template = PodTemplateSpec | ServiceTemplate;

/** What the controller needs to know of one kind of target. Pure. */
export interface TargetKind<T extends Target = Target> {
  readonly kind: Kind<T>;
  /** Why a workload of this kind cannot be driven as it stands; undefined where it can. */
  unusable(workload: T): string | undefined;
  /** What its pods are made of, as the user wrote it; of a Service, where it leads. The same object for the same target. */
  template(workload: T): Template | undefined;
  /** How many pods it is to have; 0: it is scaled to zero. */
  replicas(workload: T): number;
  /** Operations that give it that many pods. */
  scale(workload: T, replicas: number): readonly JsonPatchOperation[];
  /** Fields of its spec that tell how pods are rolled: the primary gets them at each promotion. */
  rolloutFields(workload: T): Readonly<Record<string, unknown>>;
  /** Fields of its spec that the primary gets once, when it is made. `service`: the primary's Service. */
  firstFields(workload: T, service: string): Readonly<Record<string, unknown>>;
  readiness(workload: T, threshold: Percent, deadline: Milliseconds, now: number): Readiness;
  /** The pods of its newest template. */
  pods(workload: T, snapshot: Snapshot): PodsObservation;
}

/** The descriptor of a kind of target; a Deployment's where the kind is none of {@link drivenTargets}. */
export function targetKind(kind: string): TargetKind {
  switch (kind) {
    case "DaemonSet":
      return widened(daemonSets);
    case "StatefulSet":
      return widened(statefulSets);
    case "Service":
      return widened(services);
    default:
      return widened(deployments);
  }
}

/** A descriptor is only ever given workloads of its own kind: they are read by `kind`. */
function widened<T extends Target>(kind: TargetKind<T>): TargetKind {
  return kind as TargetKind<never> as TargetKind;
}

/** Kinds of workloads that are driven. */
export const workloadKinds = [deployments.kind, daemonSets.kind, statefulSets.kind];
export const drivenTargets: readonly string[] = [...workloadKinds, services.kind].map(({ kind }) => kind);
