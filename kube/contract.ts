/**
 * What every room sees of an API server. `client.ts`, `informer.ts` and the rest of this room implement it.
 */
import type { Kind, KubeObject, ResourceRef } from "../api/resource.ts";

/** How to reach an API server. */
export interface Connection {
  /** e.g. `https://127.77.0.1:6443` */
  readonly url: string;
  /** PEM; the system's roots where absent. */
  readonly ca?: string;
  /** PEM pair, for a client certificate. */
  readonly certificate?: string;
  readonly key?: string;
  /** Bearer token; a function where it is renewed. */
  readonly token?: string | (() => string | Promise<string>);
  /** Sent as User-Agent and as field manager. Default `fairlead`. */
  readonly fieldManager?: string;
  /** Name expected in the server's certificate, where it differs from the URL's (kubeconfig `tls-server-name`). */
  readonly serverName?: string;
  /** Accepts any server certificate (kubeconfig `insecure-skip-tls-verify`). */
  readonly insecureSkipTlsVerify?: boolean;
  /** The context's namespace: what a command without `-n` means. */
  readonly namespace?: string;
}

export interface JsonPatchOperation {
  readonly op: "add" | "remove" | "replace" | "test" | "copy" | "move";
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

export type Patch =
  | { readonly kind: "json"; readonly operations: readonly JsonPatchOperation[] }
  | { readonly kind: "merge"; readonly body: unknown }
  | { readonly kind: "strategic"; readonly body: unknown }
  | { readonly kind: "apply"; readonly body: unknown; readonly force?: boolean };

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** `status` is the answer's HTTP code, `reason` Kubernetes' own word (NotFound, Conflict, AlreadyExists, Invalid, Expired, …). */
export interface ApiStatus {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  /** Milliseconds, where the server asked for patience. */
  readonly retryAfter?: number;
}

/** Typed access to one API server over one pool of connections. Every call rejects with `ApiError` (see `error.ts`) on failure. */
export interface Client {
  /** undefined where the object does not exist. */
  get<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string | undefined,
    name: string,
  ): Promise<T | undefined>;
  list<T extends KubeObject>(
    kind: Kind<T>,
    options?: ListOptions,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }>;
  create<T extends KubeObject>(kind: Kind<T>, object: T, options?: { readonly dryRun?: boolean }): Promise<T>;
  /** PUT: fails with Conflict where `metadata.resourceVersion` is stale. */
  replace<T extends KubeObject>(kind: Kind<T>, object: T, subresource?: "status"): Promise<T>;
  patch<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string | undefined,
    name: string,
    patch: Patch,
    subresource?: "status" | "scale",
  ): Promise<T>;
  /** Resolves also where the object is already gone. */
  delete<T extends KubeObject>(
    kind: Kind<T>,
    namespace: string | undefined,
    name: string,
    options?: {
      readonly uid?: string;
      readonly gracePeriodSeconds?: number;
      readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
    },
  ): Promise<void>;
  /** Any other request, e.g. a token: JSON in, JSON out. */
  request<T>(
    method: string,
    path: string,
    body?: unknown,
    options?: { readonly contentType?: string; readonly accept?: string; readonly signal?: AbortSignal },
  ): Promise<T>;
  /** Raw text, e.g. a pod's log. */
  text(path: string, signal?: AbortSignal): Promise<string>;
  /** An answer without end, e.g. a watch or a followed log: chunks as they come, on a connection of its own. */
  stream(path: string, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

export type Change<T extends KubeObject = KubeObject> =
  | { readonly kind: "added"; readonly object: T }
  | { readonly kind: "modified"; readonly object: T; readonly before: T }
  | { readonly kind: "deleted"; readonly object: T };

/** An immutable view of the watched kinds at one moment: keep it, compare it, pass it to pure functions. */
export interface Snapshot {
  /** undefined where it does not exist. */
  get<T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string): T | undefined;
  /** All of a kind, or of one namespace. Stable order: namespace, then name. */
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[];
  /** Objects whose controller owner has this uid. */
  ownedBy<T extends KubeObject>(kind: Kind<T>, uid: string): readonly T[];
}

/** One watch a kind, shared by all who ask; keeps a snapshot current. */
export interface Informers {
  /** Starts watching (idempotent); resolves when the first list is in the snapshot. */
  watch(...kinds: readonly Kind[]): Promise<void>;
  snapshot(): Snapshot;
  /**
   * Handlers run after the snapshot holds the change, for changes from now on: what is there already stands in the snapshot.
   * One that throws is logged, never ends the process. Returns what removes it.
   */
  onChange<T extends KubeObject>(kind: Kind<T>, handler: (change: Change<T>) => void): () => void;
  /** Epoch milliseconds of the last word from the server, over all kinds. */
  lastSeen(): number;
  close(): void;
}

/** Writes what the user reads about an object. */
export interface Recorder {
  /** An Event on `object`; never throws, merges repeats as client-go does. `reason` is UpperCamelCase. */
  event(object: KubeObject, type: "Normal" | "Warning", reason: string, message: string): void;
}

/**
 * Changes an object's status from its newest version, again on conflict: no update of another writer is lost.
 *
 * `change` returns the whole new status (spread the old one to keep its fields), or undefined to write nothing.
 * Resolves with what is stored then, or undefined where the object does not exist.
 */
export type PatchStatus = <T extends KubeObject>(
  kind: Kind<T>,
  ref: Pick<ResourceRef, "namespace" | "name">,
  change: (object: T) => Record<string, unknown> | undefined,
) => Promise<T | undefined>;
