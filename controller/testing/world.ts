/** A cluster in memory, for tests that run thousands of rollouts: objects, versions, patches, and pods that get ready. */
import jsonPatch, { type Operation } from "fast-json-patch";
import type { DaemonSet, Deployment } from "../../api/core.ts";
import { type Canary, CanaryKind, type VirtualService, VirtualServiceKind } from "../../api/kinds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Client, Snapshot } from "../../kube/contract.ts";
import { ApiError } from "../../kube/error.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { settledStatus } from "./daemon-set.ts";

/** Ends the process at one of its writes. */
export class Killed extends Error {
  override readonly name = "Killed";
}

export interface World {
  readonly client: Pick<Client, "create" | "get" | "replace" | "patch" | "delete">;
  snapshot(): Snapshot;
  all(): Iterable<KubeObject>;
  /** Puts an object as somebody else would. */
  put(object: KubeObject): void;
  edit<T extends KubeObject>(kind: Kind<T>, name: string, change: (object: T) => T): void;
  canary(): Canary;
  route(): VirtualService | undefined;
  /** Pods get ready, or not. */
  settle(isReady: (deployment: Deployment) => boolean): void;
  /** Kills at the write of that number from now on, before or after it happens. */
  killAt(write: number, when: "before" | "after"): void;
  readonly writes: number;
  /** Called after each write, with what stood before. */
  onWrite: (after: KubeObject, before: KubeObject | undefined) => void;
}

export function createWorld(): World {
  const objects = new Map<string, KubeObject>();
  let version = 0;
  let kill: { readonly write: number; readonly when: "before" | "after" } | undefined;
  let writes = 0;

  const keyOf = (kind: string, name: string): string => `${kind}/${name}`;
  function store(object: KubeObject): KubeObject {
    const key = keyOf(object.kind, object.metadata.name);
    const before = objects.get(key);
    version++;
    const specOf = (one: KubeObject | undefined) =>
      JSON.stringify(one && "spec" in one ? one.spec : undefined);
    const generation = (before?.metadata.generation ?? 0) + (specOf(before) === specOf(object) ? 0 : 1);
    const { uid = `uid-${key}`, creationTimestamp = "2026-01-01T00:00:00Z" } = before?.metadata ?? {};
    const metadata = {
      ...object.metadata,
      uid,
      creationTimestamp,
      generation,
      resourceVersion: String(version),
    };
    const stored = structuredClone({ ...object, metadata });
    objects.set(key, stored);
    return stored;
  }
  function write(object: KubeObject): KubeObject {
    const before = objects.get(keyOf(object.kind, object.metadata.name));
    const number = writes++;
    if (kill?.write === number && kill.when === "before") throw new Killed(`before write ${number}`);
    const stored = store(object);
    world.onWrite(stored, before);
    if (kill?.write === number && kill.when === "after") throw new Killed(`after write ${number}`);
    return stored;
  }
  function refuse(status: number, reason: string): never {
    throw new ApiError({ status, reason, message: reason });
  }

  function settleDaemonSet(object: DaemonSet): void {
    const status = settledStatus(object);
    if (JSON.stringify(object.status) !== JSON.stringify(status)) store({ ...object, status } as DaemonSet);
  }

  const world: World = {
    client: {
      get: async <T extends KubeObject>(kind: Kind<T>, _namespace: string | undefined, name: string) =>
        objects.get(keyOf(kind.kind, name)) as T | undefined,
      async create<T extends KubeObject>(kind: Kind<T>, object: T) {
        if (objects.has(keyOf(kind.kind, object.metadata.name))) refuse(409, "AlreadyExists");
        return write(object) as T;
      },
      async replace<T extends KubeObject>(kind: Kind<T>, object: T) {
        const present = objects.get(keyOf(kind.kind, object.metadata.name));
        if (present === undefined) return refuse(404, "NotFound");
        if (present.metadata.resourceVersion !== object.metadata.resourceVersion) refuse(409, "Conflict");
        return write(object) as T;
      },
      async patch<T extends KubeObject>(
        kind: Kind<T>,
        _namespace: string | undefined,
        name: string,
        patch: { kind: string },
      ) {
        const present = objects.get(keyOf(kind.kind, name));
        if (present === undefined) return refuse(404, "NotFound");
        const operations = "operations" in patch ? (patch.operations as Operation[]) : [];
        try {
          const patched = jsonPatch.applyPatch(
            structuredClone(present),
            structuredClone(operations),
            true,
          ).newDocument;
          return write(patched) as T;
        } catch (error) {
          if (error instanceof Killed) throw error;
          return refuse(422, "Invalid");
        }
      },
      async delete(kind, _namespace, name) {
        objects.delete(keyOf(kind.kind, name));
      },
    },
    snapshot: () => snapshotOf(objects.values()),
    all: () => objects.values(),
    put: (object) => void store(object),
    edit(kind, name, change) {
      const present = world.snapshot().get(kind, "default", name);
      if (present !== undefined) store(change(present));
    },
    canary() {
      const found = world.snapshot().list(CanaryKind, "default")[0];
      if (found === undefined) throw new Error("there is no canary");
      return found;
    },
    route: () => world.snapshot().list(VirtualServiceKind, "default")[0],
    settle(isReady) {
      for (const object of objects.values()) {
        if (object.kind === "DaemonSet") {
          settleDaemonSet(object as DaemonSet);
          continue;
        }
        if (object.kind !== "Deployment" && object.kind !== "StatefulSet") continue;
        const deployment = object as Deployment;
        const replicas = deployment.spec?.replicas ?? 1;
        const available = isReady(deployment) ? replicas : 0;
        const status = {
          observedGeneration: object.metadata.generation ?? 0,
          replicas,
          updatedReplicas: replicas,
          readyReplicas: available,
          availableReplicas: available,
        };
        if (JSON.stringify(deployment.status) !== JSON.stringify(status))
          store({ ...deployment, status } as Deployment);
      }
    },
    killAt: (number, when) => {
      kill = { write: number, when };
    },
    get writes() {
      return writes;
    },
    onWrite: () => {},
  };
  return world;
}
