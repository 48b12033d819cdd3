/** What a Canary's release goes through is not lost to callers while somebody's deletion of it is undone. */
import { type EndpointSlice, EndpointSliceKind, type Service, ServiceKind } from "../api/core.ts";
import type { Kind, KubeObject } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import type { Clock } from "../lib/clock.ts";
import { keyOf } from "./translate/changes.ts";
import { serviceNameLabel } from "./translate/endpoint.ts";

/** Milliseconds; the controller makes a Service again within tenths of a second, and its slices follow. */
const keptFor = 3000;

/** Services that a Canary had made and that were deleted, with their slices, until they are there again. */
export interface KeptServices {
  /** Tells of an object that was deleted, right when that is known. */
  deleted(kind: Kind, object: KubeObject): void;
  /** Lets go of what is there again in `snapshot`: call it before `over`. */
  settle(snapshot: Snapshot): void;
  /** The snapshot with what is kept in the place of what is missing in it. */
  over(snapshot: Snapshot): Snapshot;
  close(): void;
}

interface Kept {
  readonly service: Service;
  readonly slices: Map<string, EndpointSlice>;
  readonly cancel: () => void;
}

/**
 * @param onChange is told of each object that is kept no more: it is to be looked at again
 */
export function createKeptServices(
  clock: Clock,
  onChange: (kind: Kind, object: KubeObject) => void,
): KeptServices {
  const kept = new Map<string, Kept>();

  function letGo(key: string): void {
    const gone = kept.get(key);
    if (gone === undefined) return;
    gone.cancel();
    kept.delete(key);
    onChange(ServiceKind, gone.service);
    for (const slice of gone.slices.values()) onChange(EndpointSliceKind, slice);
  }

  function keepService(service: Service): void {
    if (!isMadeByCanary(service)) return;
    const key = keyOf(service);
    kept.get(key)?.cancel();
    // Deleted twice in a row, its new slices may never have been there.
    const slices = kept.get(key)?.slices ?? new Map<string, EndpointSlice>();
    kept.set(key, { service, slices, cancel: clock.after(keptFor, () => letGo(key)) });
  }

  /** The slices of a Service go after it; a slice that goes alone is not missed. */
  function keepSlice(slice: EndpointSlice): void {
    kept.get(serviceOf(slice))?.slices.set(keyOf(slice), slice);
  }

  function stands(snapshot: Snapshot, { service: { metadata } }: Kept): boolean {
    const service = snapshot.get(ServiceKind, metadata.namespace, metadata.name);
    if (service === undefined) return false;
    if (!isMadeByCanary(service)) return true;
    // Those of the deleted one go yet.
    return snapshot
      .ownedBy(EndpointSliceKind, service.metadata.uid ?? "")
      .some(({ endpoints }) => endpoints?.some(({ conditions }) => conditions?.ready !== false));
  }

  function objects(kind: Kind): readonly KubeObject[] {
    if (kind.kind === ServiceKind.kind && kind.group === ServiceKind.group)
      return Array.from(kept.values(), ({ service }) => service);
    if (kind.kind === EndpointSliceKind.kind && kind.group === EndpointSliceKind.group)
      return Array.from(kept.values(), ({ slices }) => [...slices.values()]).flat();
    return [];
  }

  return {
    deleted(kind, object) {
      if (kind === ServiceKind) keepService(object as Service);
      if (kind === EndpointSliceKind) keepSlice(object as EndpointSlice);
    },
    settle(snapshot) {
      for (const [key, one] of kept) if (stands(snapshot, one)) letGo(key);
    },
    over(snapshot) {
      if (kept.size === 0) return snapshot;
      return {
        get: <T extends KubeObject>(kind: Kind<T>, namespace: string | undefined, name: string) =>
          snapshot.get(kind, namespace, name) ??
          (objects(kind).find(({ metadata }) => metadata.namespace === namespace && metadata.name === name) as
            | T
            | undefined),
        list: <T extends KubeObject>(kind: Kind<T>, namespace?: string) => {
          const missing = objects(kind).filter(
            ({ metadata }) =>
              (namespace === undefined || metadata.namespace === namespace) &&
              snapshot.get(kind, metadata.namespace, metadata.name) === undefined,
          ) as T[];
          if (missing.length === 0) return snapshot.list(kind, namespace);
          return [...snapshot.list(kind, namespace), ...missing].sort(byName);
        },
        ownedBy: (kind, uid) => snapshot.ownedBy(kind, uid),
      };
    },
    close() {
      for (const { cancel } of kept.values()) cancel();
      kept.clear();
    },
  };
}

function isMadeByCanary({ metadata }: Service): boolean {
  return metadata.ownerReferences?.some(({ kind, controller }) => controller && kind === "Canary") === true;
}

/** Key of the Service whose slice it is. */
function serviceOf({ metadata: { namespace = "", labels } }: EndpointSlice): string {
  return `${namespace}/${labels?.[serviceNameLabel] ?? ""}`;
}

function byName({ metadata: a }: KubeObject, { metadata: b }: KubeObject): number {
  const [left, right] = [a.namespace ?? "", b.namespace ?? ""];
  if (left !== right) return left < right ? -1 : 1;
  return a.name < b.name ? -1 : 1;
}
