import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Client, Informers } from "../../kube/contract.ts";
import { isNotFound } from "../../kube/error.ts";
import { controllerOf } from "../../kube/snapshot.ts";
import { matches } from "./label-selector.ts";
import { controllerReference } from "./pod-facts.ts";
import { RecentWrites } from "./recent-writes.ts";

/**
 * The objects of one kind that owners control, as far as this controller knows: the snapshot and its own last writes.
 *
 * An owner takes in what its selector picks and nobody controls, and lets go of what it no longer picks, as
 * Kubernetes' ControllerRefManager does. Orphans are indexed, so that this costs nothing where there are none.
 */
export class Dependents<T extends KubeObject> {
  readonly #client: Client;
  readonly #informers: Informers;
  readonly #kind: Kind<T>;
  readonly #recent: RecentWrites<T>;
  readonly #orphans = new Map<string, Set<string>>();
  readonly #stop: () => void;

  constructor({ client, informers }: { client: Client; informers: Informers }, kind: Kind<T>) {
    this.#client = client;
    this.#informers = informers;
    this.#kind = kind;
    this.#recent = new RecentWrites(informers, kind);
    for (const object of informers.snapshot().list(kind)) this.#index(object, false);
    this.#stop = informers.onChange(kind, ({ kind: change, object }) =>
      this.#index(object, change === "deleted"),
    );
  }

  /** What `owner` controls now, without asking for more. */
  of(owner: KubeObject): readonly T[] {
    const { uid = "" } = owner.metadata;
    const listed = this.#informers.snapshot().ownedBy(this.#kind, uid);
    return this.#recent.over(listed, (object) => controllerOf(object) === uid);
  }

  /**
   * What `owner` controls after orphans were adopted and strangers released.
   *
   * @param selector a LabelSelector; an empty one picks nothing here
   * @throws ApiError as the API server answers
   */
  async claim<Owner extends KubeObject>(
    owner: Owner,
    ownerKind: Kind<Owner>,
    selector: unknown,
  ): Promise<readonly T[]> {
    const owned = this.of(owner);
    if (owner.metadata.deletionTimestamp !== undefined) return owned;
    const kept: T[] = [];
    for (const object of owned) {
      if (matches(selector, object.metadata.labels)) kept.push(object);
      else await this.#release(owner, object);
    }
    const adoptable = this.#adoptable(owner, selector, kept);
    if (adoptable.length === 0 || !(await this.#stands(owner, ownerKind))) return kept;
    for (const object of adoptable) {
      const adopted = await this.#adopt(owner, ownerKind, object);
      if (adopted) kept.push(adopted);
    }
    return kept;
  }

  #adoptable(owner: KubeObject, selector: unknown, owned: readonly T[]): readonly T[] {
    const { namespace = "" } = owner.metadata;
    const snapshot = this.#informers.snapshot();
    const orphans = [...(this.#orphans.get(namespace) ?? [])].flatMap(
      (name) => snapshot.get(this.#kind, namespace, name) ?? [],
    );
    const known = new Set(owned.map(({ metadata }) => metadata.uid));
    return orphans.filter(({ metadata }) => !known.has(metadata.uid) && matches(selector, metadata.labels));
  }

  /** Asked of the server itself: one that was just deleted must not get back what it left to others. */
  async #stands<Owner extends KubeObject>(owner: Owner, kind: Kind<Owner>): Promise<boolean> {
    const { namespace, name, uid } = owner.metadata;
    const now = await this.#client.get(kind, namespace, name);
    return now?.metadata.uid === uid && now?.metadata.deletionTimestamp === undefined;
  }

  /** Remembers an object as the API server answered it. */
  wrote(object: T): void {
    this.#recent.wrote(object);
  }

  /** Remembers that the deletion of an object was asked for. */
  removed(uid: string | undefined): void {
    this.#recent.removed(uid);
  }

  close(): void {
    this.#stop();
    this.#recent.close();
  }

  #index(object: T, gone: boolean): void {
    const { namespace = "", name, deletionTimestamp } = object.metadata;
    const orphan = !gone && deletionTimestamp === undefined && controllerOf(object) === undefined;
    const names = this.#orphans.get(namespace) ?? new Set<string>();
    if (orphan) this.#orphans.set(namespace, names.add(name));
    else if (names.delete(name) && names.size === 0) this.#orphans.delete(namespace);
  }

  async #adopt<Owner extends KubeObject>(
    owner: Owner,
    ownerKind: Kind<Owner>,
    object: T,
  ): Promise<T | undefined> {
    const { uid } = object.metadata;
    const body = { metadata: { uid, ownerReferences: [controllerReference(owner, ownerKind)] } };
    return this.#patch(object, body);
  }

  async #release(owner: KubeObject, object: T): Promise<void> {
    const { uid } = object.metadata;
    const reference = { $patch: "delete", uid: owner.metadata.uid };
    await this.#patch(object, { metadata: { uid, ownerReferences: [reference] } });
  }

  async #patch({ metadata }: T, body: object): Promise<T | undefined> {
    try {
      const { namespace, name } = metadata;
      const object = await this.#client.patch(this.#kind, namespace, name, { kind: "strategic", body });
      this.#recent.wrote(object);
      return object;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

export interface DependentsWatch<Owner extends KubeObject, T extends KubeObject> {
  readonly informers: Informers;
  readonly kind: Kind<T>;
  readonly ownerKind: Kind<Owner>;
  /** The owner's LabelSelector. */
  readonly selectorOf: (owner: Owner) => unknown;
  /** Told the queue key of each owner that a change concerns. */
  readonly add: (key: string) => void;
}

/** Tells the owners of changed objects, the former ones too, and those that may adopt an orphan. Returns what ends it. */
export function watchDependents<Owner extends KubeObject, T extends KubeObject>({
  informers,
  kind,
  ownerKind,
  selectorOf,
  add,
}: DependentsWatch<Owner, T>): () => void {
  const addOwner = ({ metadata }: T): boolean => {
    const owner = metadata.ownerReferences?.find(({ controller }) => controller);
    if (owner?.kind === ownerKind.kind) add(`${metadata.namespace ?? ""}/${owner.name}`);
    return owner !== undefined;
  };
  return informers.onChange(kind, (change) => {
    const { object } = change;
    if (change.kind === "modified" && controllerOf(change.before) !== controllerOf(object)) {
      addOwner(change.before);
    }
    if (addOwner(object) || change.kind === "deleted") return;
    const { namespace = "", labels } = object.metadata;
    for (const owner of informers.snapshot().list(ownerKind, namespace)) {
      if (matches(selectorOf(owner), labels)) add(`${namespace}/${owner.metadata.name}`);
    }
  });
}
