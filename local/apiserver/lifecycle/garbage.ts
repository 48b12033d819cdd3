/**
 * Garbage collection by ownerReferences: an object whose owners are all gone is deleted; foreground
 * deletion waits for dependents; orphaning takes the references away.
 */
import type { ApiContext, Target } from "../context.ts";
import { cloneJson } from "../json.ts";
import type { ApiObject } from "../object.ts";
import type { Change } from "../storage/history.ts";
import { deleteObject } from "../verbs/delete.ts";
import { updateObject } from "../verbs/update.ts";
import { inBackground, internalWrite, targetOf } from "./internal.ts";

interface Place {
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string;
}

/** Follows every change of the store. Work is done in the background, event by event; nothing polls. */
export class GarbageCollector {
  readonly #context: ApiContext;
  readonly #places = new Map<string, Place>();
  /** Dependents' uids by owner's uid. */
  readonly #dependents = new Map<string, Set<string>>();

  constructor(context: ApiContext) {
    this.#context = context;
    for (const resource of context.store.resources()) {
      for (const { object } of context.store.list(resource)) this.#remember(resource, object);
    }
  }

  start(): void {
    for (const uid of this.#places.keys()) this.#check(uid);
    this.#context.store.onChange((change) => this.#follow(change));
  }

  #follow({ type, resource, object, before }: Change): void {
    const { uid } = object.metadata;
    if (before !== undefined) this.#forgetOwners(before);
    if (type === "DELETED") {
      this.#places.delete(uid);
      for (const dependent of this.#dependents.get(uid) ?? []) this.#check(dependent);
      for (const { uid: owner } of object.metadata.ownerReferences ?? []) this.#check(owner);
      return;
    }
    this.#remember(resource, object);
    const { ownerReferences, finalizers } = object.metadata;
    if (ownerReferences !== undefined || finalizers !== undefined) this.#check(uid);
  }

  #remember(resource: string, { metadata }: ApiObject): void {
    this.#places.set(metadata.uid, { resource, namespace: metadata.namespace, name: metadata.name });
    for (const { uid } of metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(uid) ?? new Set();
      dependents.add(metadata.uid);
      this.#dependents.set(uid, dependents);
    }
  }

  #forgetOwners({ metadata }: ApiObject): void {
    for (const { uid } of metadata.ownerReferences ?? []) {
      const dependents = this.#dependents.get(uid);
      dependents?.delete(metadata.uid);
      if (dependents?.size === 0) this.#dependents.delete(uid);
    }
  }

  #check(uid: string): void {
    inBackground(this.#context, "collect an object", () => this.#collect(uid));
  }

  async #collect(uid: string): Promise<void> {
    const place = this.#places.get(uid);
    if (place === undefined) return;
    const object = this.#context.store.get(place.resource, place.namespace, place.name)?.object;
    const target = this.#target(place);
    if (object?.metadata.uid !== uid || target === undefined) return;
    const { ownerReferences = [], finalizers = [], deletionTimestamp } = object.metadata;
    const ownerless =
      ownerReferences.length > 0 && !ownerReferences.some((owner) => this.#places.has(owner.uid));
    if (deletionTimestamp === undefined) {
      if (ownerless) await this.#delete(target, uid, "Background");
      return;
    }
    if (finalizers.includes("orphan")) await this.#orphan(target, uid);
    else if (finalizers.includes("foregroundDeletion")) await this.#deleteDependents(target, uid);
  }

  async #orphan(target: Target, uid: string): Promise<void> {
    for (const dependent of this.#dependents.get(uid) ?? []) {
      await this.#edit(this.#target(this.#places.get(dependent)), (object) => {
        const owners = (object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== uid);
        object.metadata.ownerReferences = owners;
      });
    }
    await this.#removeFinalizer(target, "orphan");
  }

  async #deleteDependents(target: Target, uid: string): Promise<void> {
    let waiting = 0;
    for (const dependent of this.#dependents.get(uid) ?? []) {
      const place = this.#places.get(dependent);
      const dependentTarget = this.#target(place);
      if (place === undefined || dependentTarget === undefined) continue;
      const object = this.#context.store.get(place.resource, place.namespace, place.name)?.object;
      const reference = object?.metadata.ownerReferences?.find((owner) => owner.uid === uid);
      if (object === undefined || reference === undefined) continue;
      if (reference.blockOwnerDeletion === true) waiting++;
      if (object.metadata.deletionTimestamp === undefined)
        await this.#delete(dependentTarget, dependent, "Foreground");
    }
    if (waiting === 0) await this.#removeFinalizer(target, "foregroundDeletion");
  }

  async #removeFinalizer(target: Target, name: string): Promise<void> {
    await this.#edit(target, (object) => {
      object.metadata.finalizers = (object.metadata.finalizers ?? []).filter(
        (finalizer) => finalizer !== name,
      );
    });
  }

  async #edit(target: Target | undefined, change: (object: ApiObject) => void): Promise<void> {
    if (target === undefined) return;
    await updateObject(
      this.#context,
      target,
      (current) => {
        const object = cloneJson(current);
        change(object);
        return object;
      },
      internalWrite(),
    );
  }

  async #delete(target: Target, uid: string, propagationPolicy: "Background" | "Foreground"): Promise<void> {
    await deleteObject(this.#context, target, { uid, propagationPolicy }, internalWrite());
  }

  #target(place: Place | undefined): Target | undefined {
    return place === undefined
      ? undefined
      : targetOf(this.#context, place.resource, place.namespace, place.name);
  }
}
