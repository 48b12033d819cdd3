import type { ApiObject } from "../object.ts";

/** A stored object. Never change `object`: it is shared. */
export interface Entry {
  /** Namespace (empty for cluster-scoped objects), a slash, the name. */
  readonly key: string;
  readonly revision: number;
  /** The version in which it is stored, e.g. `apps/v1`. */
  readonly apiVersion: string;
  /** The object, encoded once. */
  readonly json: string;
  readonly object: ApiObject;
}

/**
 * An entry that keeps its text only. A parsed object takes five times the memory of its text, and most objects are
 * written once and looked at rarely: one that is not in use may be collected, and is parsed again when it is asked for.
 */
class TextEntry implements Entry {
  readonly key: string;
  readonly revision: number;
  readonly apiVersion: string;
  readonly json: string;
  #object: WeakRef<ApiObject>;

  constructor(object: ApiObject) {
    const { namespace, name, resourceVersion } = object.metadata;
    this.key = keyOf(namespace, name);
    this.revision = Number(resourceVersion);
    this.apiVersion = object.apiVersion;
    this.json = JSON.stringify(object);
    this.#object = new WeakRef(object);
  }

  get object(): ApiObject {
    const known = this.#object.deref();
    if (known !== undefined) return known;
    const parsed = JSON.parse(this.json) as ApiObject;
    this.#object = new WeakRef(parsed);
    return parsed;
  }
}

/** `namespace/name`. */
export function keyOf(namespace: string | undefined, name: string): string {
  return `${namespace ?? ""}/${name}`;
}

/** The entry of an object whose resourceVersion is set. */
export function entryOf(object: ApiObject): Entry {
  return new TextEntry(object);
}
