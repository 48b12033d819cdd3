import {
  ConfigMapKind,
  DaemonSetKind,
  DeploymentKind,
  PodKind,
  ServiceKind,
  StatefulSetKind,
} from "../../api/core.ts";
import {
  AuthorizationPolicyKind,
  CanaryKind,
  PeerAuthenticationKind,
  RequestAuthenticationKind,
} from "../../api/kinds.ts";
import type { Kind, KubeObject, Problem } from "../../api/resource.ts";
import type { Client, Snapshot } from "../../kube/contract.ts";
import { ApiError } from "../../kube/error.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { configMapName, readMeshConfig, servicePorts } from "../../mesh/policy-settings.ts";
import { defaultMesh, type MeshSettings } from "../../policy/compile/mesh.ts";
import { readFiles } from "../manifest-files.ts";

/** The objects that decide who may call the workloads of one namespace, and the mesh's settings. */
export interface Scope {
  readonly snapshot: Snapshot;
  readonly mesh: MeshSettings;
  /** What of the settings cannot be carried out. */
  readonly problems: readonly Problem[];
}

const policies: readonly Kind[] = [
  AuthorizationPolicyKind,
  RequestAuthenticationKind,
  PeerAuthenticationKind,
];
const workloads: readonly Kind[] = [
  CanaryKind,
  DeploymentKind,
  StatefulSetKind,
  DaemonSetKind,
  PodKind,
  ServiceKind,
];
const { rootNamespace } = defaultMesh;

/** Reads what counts for `namespace` from a cluster. */
export async function readCluster(client: Client, namespace: string): Promise<Scope> {
  const list = async (kind: Kind, from?: string): Promise<readonly KubeObject[]> => {
    try {
      return (await client.list(kind, from === undefined ? {} : { namespace: from })).items;
    } catch (error) {
      // A mesh without our CRDs has no Canary.
      if (error instanceof ApiError && error.status === 404) return [];
      throw error;
    }
  };
  const ofRoot = namespace === rootNamespace ? [] : policies.map((kind) => list(kind, rootNamespace));
  const [config, ...lists] = await Promise.all([
    client.get(ConfigMapKind, rootNamespace, configMapName),
    ...[...policies, ...workloads].map((kind) => list(kind, namespace)),
    ...ofRoot,
  ]);
  const objects = [...(config ? [config] : []), ...lists.flat()];
  const scope = scopeOf(objects);
  if (scope.mesh.extensionProviders.length === 0) return scope;
  const known = servicePorts((await client.list(ServiceKind)).items);
  return { ...scope, mesh: { ...scope.mesh, isKnownService: (host, port) => known.has(`${host}:${port}`) } };
}

/** The same from manifest files and folders; an object without a namespace is of `namespace`. */
export function readScopeFiles(paths: readonly string[], namespace: string): Scope {
  const objects = readFiles(paths).map(({ object }) => ({
    ...object,
    metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace },
  }));
  return scopeOf(objects);
}

function scopeOf(objects: readonly KubeObject[]): Scope {
  const snapshot = snapshotOf(objects);
  const problems: Problem[] = [];
  const config = snapshot.get(ConfigMapKind, rootNamespace, configMapName);
  return { snapshot, mesh: readMeshConfig(config, defaultMesh, problems) ?? defaultMesh, problems };
}
