import { ConfigMapKind, DaemonSetKind, DeploymentKind, StatefulSetKind } from "../../api/core.ts";
import type { Kind, KubeObject, Problem } from "../../api/resource.ts";
import type { Client, Snapshot } from "../../kube/contract.ts";
import { ApiError } from "../../kube/error.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { upstreamAttemptLogs } from "../../mesh/build/attempt-log.ts";
import { createBuilder } from "../../mesh/build/builder.ts";
import { inboundAccessLogs, outboundAccessLogs } from "../../mesh/build/telemetry.ts";
import type { View } from "../../mesh/build/view.ts";
import { defaultSettings, type Model } from "../../mesh/model/model.ts";
import type { Proxy } from "../../mesh/model/proxy.ts";
import { createPolicyFilters, policyKinds } from "../../mesh/policy-filters.ts";
import { configMapName, readMeshConfig } from "../../mesh/policy-settings.ts";
import { createTranslator, translatedKinds } from "../../mesh/translate/translate.ts";
import { defaultMesh } from "../../policy/compile/mesh.ts";
import { readFiles } from "../manifest-files.ts";

/** A mesh as the control plane would see it, without one. */
export interface Scene {
  readonly snapshot: Snapshot;
  readonly model: Model;
  /** What of the objects cannot be carried out. */
  readonly problems: readonly Problem[];
  /** All that a proxy would be sent. */
  viewOf(proxy: Proxy): View;
}

const workloadKinds: readonly Kind[] = [DeploymentKind, StatefulSetKind, DaemonSetKind];

/** The mesh of manifest files and folders; an object without a namespace is of `namespace`. */
export function sceneOfFiles(paths: readonly string[], namespace: string): Scene {
  return sceneOf(
    readFiles(paths).map(({ object }) => ({
      ...object,
      metadata: { ...object.metadata, namespace: object.metadata.namespace ?? namespace },
    })),
  );
}

/** The mesh of a cluster. */
export async function sceneOfCluster(client: Client): Promise<Scene> {
  const kinds = new Set<Kind>([...translatedKinds, ...policyKinds, ...workloadKinds]);
  const lists = await Promise.all(
    Array.from(kinds, async (kind): Promise<readonly KubeObject[]> => {
      try {
        return (await client.list(kind)).items;
      } catch (error) {
        // A kind whose CRD is not installed has no objects.
        if (error instanceof ApiError && error.status === 404) return [];
        throw error;
      }
    }),
  );
  const config = await client.get(ConfigMapKind, defaultSettings.rootNamespace, configMapName);
  return sceneOf([...lists.flat(), ...(config === undefined ? [] : [config])]);
}

function sceneOf(objects: readonly KubeObject[]): Scene {
  const snapshot = snapshotOf(objects);
  const found: Problem[] = [];
  const config = snapshot.get(ConfigMapKind, defaultSettings.rootNamespace, configMapName);
  const mesh = readMeshConfig(config, defaultMesh, found) ?? defaultMesh;
  const { model, problems } = createTranslator(defaultSettings)(snapshot);
  const builder = createBuilder({
    policyFilters: createPolicyFilters({ snapshot: () => snapshot, settings: () => mesh }),
    telemetry: { inboundAccessLogs, outboundAccessLogs, upstreamAttemptLogs },
  });
  return {
    snapshot,
    model,
    problems: [...found, ...problems()],
    viewOf: (proxy) => builder.viewOf(model, proxy),
  };
}
