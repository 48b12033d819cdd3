import type { Kind, KubeObject } from "../../../api/resource.ts";
import type { Dependent } from "./plan.ts";

export interface Entry {
  readonly kind: Kind;
  readonly object: KubeObject;
}

/** Who owns whom, over all watched kinds, by uid. */
export class OwnerGraph {
  readonly #entries = new Map<string, Entry>();
  readonly #dependents = new Map<string, Set<string>>();

  set(kind: Kind, object: KubeObject): void {
    const { uid } = object.metadata;
    if (uid === undefined) return;
    this.#unlink(uid);
    this.#entries.set(uid, { kind, object });
    for (const owner of object.metadata.ownerReferences ?? []) {
      const siblings = this.#dependents.get(owner.uid) ?? new Set();
      siblings.add(uid);
      this.#dependents.set(owner.uid, siblings);
    }
  }

  delete(uid: string): void {
    this.#unlink(uid);
    this.#entries.delete(uid);
  }

  get(uid: string): Entry | undefined {
    return this.#entries.get(uid);
  }

  /** All objects that name this uid as an owner. */
  dependents(uid: string): readonly (Dependent & Entry)[] {
    return [...(this.#dependents.get(uid) ?? [])].flatMap((dependent) => {
      const entry = this.#entries.get(dependent);
      const reference = entry?.object.metadata.ownerReferences?.find((owner) => owner.uid === uid);
      return entry && reference ? [{ ...entry, reference }] : [];
    });
  }

  #unlink(uid: string): void {
    for (const owner of this.#entries.get(uid)?.object.metadata.ownerReferences ?? []) {
      const siblings = this.#dependents.get(owner.uid);
      siblings?.delete(uid);
      if (siblings?.size === 0) this.#dependents.delete(owner.uid);
    }
  }
}
