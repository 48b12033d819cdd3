import { type ControllerRevision, ControllerRevisionKind } from "../api/core.ts";
import type { OwnerReference } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import { type Revision, shortRevision } from "./revision.ts";
import type { Template } from "./targets/kind.ts";

/** Stored templates kept beside those in use, for people who look what a revision was. */
const kept = 5;

/** Name of the object that keeps a target's template under its revision. */
export function revisionName(canary: string, revision: Revision): string {
  return `${canary}-${shortRevision(revision)}`;
}

/** Name of the object that keeps what the primary had before a run's promotion. */
export function formerPrimaryName(canary: string, run: string): string {
  return `${canary}-primary-${run}`;
}

/**
 * What is released, kept in the cluster: what was analysed is what is promoted, and what served before can be restored.
 *
 * Kubernetes' own kind for this; its data never changes.
 */
export function buildRevision(
  name: string,
  namespace: string,
  template: Template,
  owner: OwnerReference,
  order: number,
): ControllerRevision {
  return {
    apiVersion: "apps/v1",
    kind: "ControllerRevision",
    metadata: { name, namespace, ownerReferences: [owner] },
    // The generated type takes `data` as any object.
    data: { template },
    revision: order,
  };
}

/** The template that was kept under `name`; undefined where there is none. */
export function readRevision(snapshot: Snapshot, namespace: string, name: string): Template | undefined {
  const data: unknown = snapshot.get(ControllerRevisionKind, namespace, name)?.data;
  if (typeof data !== "object" || data === null || !("template" in data)) return undefined;
  // Written by `buildRevision` alone.
  return data.template as Template;
}

/** Which stored templates of a Canary are no longer needed: all but those in use and the newest few. */
export function unneededRevisions(
  snapshot: Snapshot,
  canaryUid: string,
  inUse: ReadonlySet<string>,
): readonly ControllerRevision[] {
  return snapshot
    .ownedBy(ControllerRevisionKind, canaryUid)
    .filter(({ metadata }) => !inUse.has(metadata.name))
    .toSorted((a, b) => b.revision - a.revision)
    .slice(kept);
}
