import type { ManifestObject } from "../api/manifest.ts";
import type { Kind, UnreadObject } from "../api/resource.ts";
import { discoverKind } from "../kube/discovery.ts";
import type { Cluster } from "./cluster.ts";

/** An object of a manifest, as it goes to the server. */
export interface Placed {
  readonly kind: Kind<UnreadObject>;
  readonly object: UnreadObject;
  /** e.g. `canary.flagger.app/shop`, as kubectl names it. */
  readonly words: string;
}

/**
 * Finds out each object's kind and namespace.
 *
 * @throws Error for a kind that the server does not serve, naming file and line
 */
export function createPlacer({ client, namespace }: Cluster): (manifest: ManifestObject) => Promise<Placed> {
  const known = new Map<string, Kind<UnreadObject>>();
  return async ({ object, file, line }) => {
    const key = `${object.apiVersion}/${object.kind}`;
    const kind = known.get(key) ?? (await discoverKind(client, object.apiVersion, object.kind));
    if (kind === undefined) {
      throw new Error(
        `${file}:${line}: the API server knows no ${object.kind} of ${object.apiVersion}; is its CRD installed?`,
      );
    }
    known.set(key, kind);
    const { namespace: own, ...metadata } = object.metadata;
    const placed = kind.namespaced ? { ...metadata, namespace: own ?? namespace } : metadata;
    const group = kind.group === "" ? "" : `.${kind.group}`;
    return {
      kind,
      object: { ...object, metadata: placed },
      words: `${kind.kind.toLowerCase()}${group}/${metadata.name}`,
    };
  };
}
