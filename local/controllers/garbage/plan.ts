import type { KubeObject, OwnerReference } from "../../../api/resource.ts";

/** Kubernetes' two finalizers of deletion with dependents. */
export const foregroundFinalizer = "foregroundDeletion";
export const orphanFinalizer = "orphan";

/** How an owner stands: `waiting` is being deleted and goes when its dependents are gone. */
export type OwnerState = "present" | "waiting" | "absent";

export type DependentPlan = "keep" | "delete" | "delete-foreground";

/**
 * What becomes of an object with owners: it stays while one of them does.
 *
 * @param hasDependents whether it owns others itself
 */
export function planDependent(
  object: KubeObject,
  stateOf: (reference: OwnerReference) => OwnerState,
  hasDependents: boolean,
): DependentPlan {
  const { ownerReferences = [], deletionTimestamp } = object.metadata;
  if (ownerReferences.length === 0 || deletionTimestamp !== undefined) return "keep";
  const states = ownerReferences.map(stateOf);
  if (states.includes("present")) return "keep";
  return states.includes("waiting") && hasDependents ? "delete-foreground" : "delete";
}

export interface Dependent {
  readonly object: KubeObject;
  readonly reference: OwnerReference;
}

export type OwnerPlan =
  | { readonly kind: "none" }
  /** Wait for dependents that block; all of them are to be looked at. */
  | { readonly kind: "wait" }
  | { readonly kind: "orphan" }
  | { readonly kind: "release"; readonly finalizer: string };

/** What an owner that is being deleted needs before it may go. */
export function planOwner({ metadata }: KubeObject, dependents: readonly Dependent[]): OwnerPlan {
  const { deletionTimestamp, finalizers = [] } = metadata;
  if (deletionTimestamp === undefined) return { kind: "none" };
  if (finalizers.includes(orphanFinalizer)) {
    return dependents.length > 0 ? { kind: "orphan" } : { kind: "release", finalizer: orphanFinalizer };
  }
  if (!finalizers.includes(foregroundFinalizer)) return { kind: "none" };
  const blocking = dependents.some(({ reference }) => reference.blockOwnerDeletion === true);
  return blocking ? { kind: "wait" } : { kind: "release", finalizer: foregroundFinalizer };
}
