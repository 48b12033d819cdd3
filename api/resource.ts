/** What every Kubernetes object has, as it stands on the wire: times are RFC 3339 strings, never `Date`. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly generateName?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly deletionGracePeriodSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly finalizers?: readonly string[];
  readonly ownerReferences?: readonly OwnerReference[];
  /** Who set which fields; informers leave it out. */
  readonly managedFields?: readonly unknown[];
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

/** An object whose spec has not been read yet: what the API server or a manifest file holds. */
export interface UnreadObject extends KubeObject {
  readonly [field: string]: unknown;
}

/** Names one kind of resource, and carries its TypeScript type `T` (which exists at compile time only). */
export interface Kind<T extends KubeObject = KubeObject> {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  /** Never set: ties `T` to the descriptor. */
  readonly type?: T;
}

/** Which object, in words that stay true when it is edited. */
export interface ResourceRef {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** A part of a user's resource that cannot be carried out. A value, so that the rest is served. */
export interface Problem {
  readonly resource: ResourceRef;
  /** JSON Pointer (RFC 6901) into the resource, e.g. `/spec/http/0/route/1/weight`. */
  readonly field: string;
  /** One line, lower case, no full stop: what was found, what is allowed. */
  readonly message: string;
  /** `warning`: the object is carried out without this part. Absent: an error, which keeps the object from being carried out. */
  readonly severity?: "warning";
}

/** metav1.Condition. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastUpdateTime?: string;
  readonly observedGeneration?: number;
}

/** `apiVersion` as objects of this kind spell it. */
export function apiVersion({ group, version }: Pick<Kind, "group" | "version">): string {
  return group === "" ? version : `${group}/${version}`;
}

/** The reference of an object, for problems, events and logs. */
export function refOf(object: KubeObject): ResourceRef {
  const { name, namespace } = object.metadata;
  return namespace === undefined ? { kind: object.kind, name } : { kind: object.kind, namespace, name };
}
