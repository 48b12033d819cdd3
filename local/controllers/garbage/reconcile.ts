import { CustomResourceDefinitionKind } from "../../../api/core.ts";
import type { Kind, KubeObject, OwnerReference } from "../../../api/resource.ts";
import type { JsonPatchOperation } from "../../../kube/contract.ts";
import { isConflict, isInvalid, isNotFound } from "../../../kube/error.ts";
import { createQueue } from "../../../kube/queue.ts";
import type { Controller, ControllerContext } from "../context.ts";
import { customKind, ownedKinds } from "../kinds.ts";
import { type Entry, OwnerGraph } from "./owner-graph.ts";
import { type OwnerState, planDependent, planOwner } from "./plan.ts";

/**
 * Deletes objects whose owners are gone, and carries out deletion in the foreground and with orphans.
 *
 * It watches the built-in kinds that own or are owned, and every custom kind as soon as it is established.
 */
export async function startGarbageCollector(context: ControllerContext): Promise<Controller> {
  const { client, informers, logger, clock } = context;
  const graph = new OwnerGraph();
  /** By group and kind, as ownerReferences name them. */
  const watched = new Map<string, Kind>();
  const stop: (() => void)[] = [];
  const queue = createQueue({ process: reconcile, logger, clock });

  async function watchKind(kind: Kind): Promise<void> {
    const key = `${kind.group}/${kind.kind}`;
    if (watched.has(key)) return;
    watched.set(key, kind);
    await informers.watch(kind);
    stop.push(
      informers.onChange(kind, ({ kind: change, object }) => {
        const { uid = "", ownerReferences = [] } = object.metadata;
        if (change !== "deleted") return see(kind, object);
        const dependents = graph.dependents(uid);
        graph.delete(uid);
        for (const dependent of dependents) add(dependent.object);
        for (const owner of ownerReferences) queue.add(owner.uid);
      }),
    );
    for (const object of informers.snapshot().list(kind)) see(kind, object);
  }

  function see(kind: Kind, object: KubeObject): void {
    graph.set(kind, object);
    const { ownerReferences, deletionTimestamp } = object.metadata;
    if (ownerReferences?.length || deletionTimestamp !== undefined) add(object);
  }

  function add({ metadata }: KubeObject): void {
    if (metadata.uid !== undefined) queue.add(metadata.uid);
  }

  async function reconcile(uid: string): Promise<void> {
    const entry = graph.get(uid);
    if (!entry) return;
    await endOwner(entry);
    await endDependent(entry);
  }

  async function endOwner(entry: Entry): Promise<void> {
    const { kind, object } = entry;
    const dependents = graph.dependents(object.metadata.uid ?? "");
    const plan = planOwner(object, dependents);
    switch (plan.kind) {
      case "none":
        return;
      case "wait":
        for (const dependent of dependents) add(dependent.object);
        return;
      case "orphan":
        for (const dependent of dependents) await removeReference(dependent, object.metadata.uid ?? "");
        return;
      case "release":
        await removeFinalizer(kind, object, plan.finalizer);
    }
  }

  async function endDependent({ kind, object }: Entry): Promise<void> {
    const { uid = "", namespace, name, ownerReferences = [] } = object.metadata;
    const states = new Map<OwnerReference, OwnerState>();
    for (const owner of ownerReferences) states.set(owner, await stateOf(owner, namespace));
    const plan = planDependent(
      object,
      (owner) => states.get(owner) ?? "present",
      graph.dependents(uid).length > 0,
    );
    if (plan === "keep") return;
    const propagationPolicy = plan === "delete" ? "Background" : "Foreground";
    try {
      await client.delete(kind, namespace, name, { uid, propagationPolicy });
    } catch (error) {
      // Another object under the same name: this one is already gone.
      if (!isConflict(error)) throw error;
    }
  }

  /** An owner of a kind that is not watched counts as present; one that the watch lacks is asked for before it counts as absent. */
  async function stateOf(owner: OwnerReference, namespace: string | undefined): Promise<OwnerState> {
    const known = graph.get(owner.uid);
    if (known) {
      const { deletionTimestamp, finalizers = [] } = known.object.metadata;
      return deletionTimestamp !== undefined && finalizers.includes("foregroundDeletion")
        ? "waiting"
        : "present";
    }
    const group = owner.apiVersion.includes("/") ? (owner.apiVersion.split("/")[0] ?? "") : "";
    const kind = watched.get(`${group}/${owner.kind}`);
    if (!kind) return "present";
    const live = await client.get(kind, kind.namespaced ? namespace : undefined, owner.name);
    return live?.metadata.uid === owner.uid ? "present" : "absent";
  }

  async function removeReference({ kind, object }: Entry, owner: string): Promise<void> {
    const references = object.metadata.ownerReferences ?? [];
    const index = references.findIndex(({ uid }) => uid === owner);
    await patch(kind, object, [
      { op: "test", path: `/metadata/ownerReferences/${index}/uid`, value: owner },
      { op: "remove", path: `/metadata/ownerReferences/${index}` },
    ]);
  }

  async function removeFinalizer(kind: Kind, object: KubeObject, finalizer: string): Promise<void> {
    const index = (object.metadata.finalizers ?? []).indexOf(finalizer);
    await patch(kind, object, [
      { op: "test", path: `/metadata/finalizers/${index}`, value: finalizer },
      { op: "remove", path: `/metadata/finalizers/${index}` },
    ]);
  }

  /** A patch whose test fails was decided on an old version: the newer one comes by the watch. */
  async function patch(
    kind: Kind,
    { metadata }: KubeObject,
    operations: readonly JsonPatchOperation[],
  ): Promise<void> {
    try {
      await client.patch(kind, metadata.namespace, metadata.name, { kind: "json", operations });
    } catch (error) {
      if (!isNotFound(error) && !isInvalid(error) && !isConflict(error)) throw error;
    }
  }

  await Promise.all(ownedKinds.map(watchKind));
  await informers.watch(CustomResourceDefinitionKind);
  const definitions = informers.snapshot().list(CustomResourceDefinitionKind);
  const custom = definitions.map(customKind).filter((kind) => kind !== undefined);
  await Promise.all(custom.map(watchKind));
  stop.push(
    informers.onChange(CustomResourceDefinitionKind, async ({ kind: change, object }) => {
      const kind = customKind(object);
      if (kind && change !== "deleted") await watchKind(kind);
    }),
  );

  return {
    async close() {
      for (const end of stop) end();
      await queue.close();
    },
  };
}
