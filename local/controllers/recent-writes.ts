import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Informers } from "../../kube/contract.ts";
import { compareVersions } from "../../kube/resource-version.ts";

/**
 * What a controller wrote and the watch has not told yet, laid over the snapshot: so that no object is made twice and
 * no decision is taken on what the controller itself has already changed.
 */
export class RecentWrites<T extends KubeObject> {
  readonly #written = new Map<string, T>();
  readonly #removed = new Set<string>();
  readonly #stop: () => void;

  constructor(informers: Informers, kind: Kind<T>) {
    this.#stop = informers.onChange(kind, (change) => {
      const { uid = "", resourceVersion, deletionTimestamp } = change.object.metadata;
      const gone = change.kind === "deleted";
      const held = this.#written.get(uid);
      if (gone || (held && compareVersions(resourceVersion, held.metadata.resourceVersion) >= 0)) {
        this.#written.delete(uid);
      }
      if (gone || deletionTimestamp !== undefined) this.#removed.delete(uid);
    });
  }

  /** Remembers an object as the API server answered it. */
  wrote(object: T): void {
    if (object.metadata.uid !== undefined) this.#written.set(object.metadata.uid, object);
  }

  /** Remembers that the deletion of an object was asked for. */
  removed(uid: string | undefined): void {
    if (uid !== undefined) this.#removed.add(uid);
  }

  /** `listed` as it will be when the watch has caught up; `belongs` picks from what was written but is not listed. */
  over(listed: readonly T[], belongs: (object: T) => boolean): readonly T[] {
    const uids = new Set(listed.map(({ metadata }) => metadata.uid));
    const current = listed.map((object) => {
      const own = this.#written.get(object.metadata.uid ?? "");
      return own && compareVersions(own.metadata.resourceVersion, object.metadata.resourceVersion) > 0
        ? own
        : object;
    });
    const created = [...this.#written.values()].filter(
      (object) => !uids.has(object.metadata.uid) && belongs(object),
    );
    return [...current, ...created].map((object) =>
      this.#removed.has(object.metadata.uid ?? "") ? asDeleted(object) : object,
    );
  }

  close(): void {
    this.#stop();
  }
}

/** An object whose deletion was asked for and not seen yet: when does not matter, only that it is on its way out. */
function asDeleted<T extends KubeObject>(object: T): T {
  const { metadata } = object;
  const deletionTimestamp = metadata.deletionTimestamp ?? metadata.creationTimestamp ?? "";
  return { ...object, metadata: { ...metadata, deletionTimestamp } };
}
