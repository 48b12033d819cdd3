import { CustomResourceDefinitionKind, NamespaceKind, ServiceAccountKind } from "../../api/core.ts";
import { crds } from "../../api/crds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Client } from "../../kube/contract.ts";
import { isAlreadyExists } from "../../kube/error.ts";

/** Home of the control plane: its secrets, its lease, its mesh-wide policies. */
export const homeNamespace = "istio-system";

/** Service account, of the home namespace, whose tokens open the mesh's debug pages; the Helm chart has it too. */
export const debugAccount = "fairlead-debug";

const rbac = { group: "rbac.authorization.k8s.io", version: "v1", namespaced: false } as const;
const clusterRole: Kind = { ...rbac, kind: "ClusterRole", plural: "clusterroles" };
const clusterRoleBinding: Kind = { ...rbac, kind: "ClusterRoleBinding", plural: "clusterrolebindings" };
const rbacVersion = `${rbac.group}/${rbac.version}`;

/**
 * Brings the API server our kinds, the control plane's namespace and the right to look into the mesh; what is there
 * already is brought up to date.
 */
export async function install(client: Client): Promise<void> {
  for (const crd of crds) await put(client, CustomResourceDefinitionKind, crd);
  await put(client, NamespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: homeNamespace },
  });
  await put(client, ServiceAccountKind, {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: debugAccount, namespace: homeNamespace },
  });
  const debugRole = {
    apiVersion: rbacVersion,
    kind: "ClusterRole",
    metadata: { name: debugAccount },
    rules: [{ nonResourceURLs: ["/debug/*"], verbs: ["get"] }],
  };
  await put(client, clusterRole, debugRole);
  const debugBinding = {
    apiVersion: rbacVersion,
    kind: "ClusterRoleBinding",
    metadata: { name: debugAccount },
    roleRef: { apiGroup: rbac.group, kind: "ClusterRole", name: debugAccount },
    subjects: [{ kind: "ServiceAccount", name: debugAccount, namespace: homeNamespace }],
  };
  await put(client, clusterRoleBinding, debugBinding);
}

async function put<T extends KubeObject>(client: Client, kind: Kind<T>, object: T): Promise<void> {
  try {
    await client.create(kind, object);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    const { metadata, ...rest } = object;
    const body = {
      ...rest,
      metadata: { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} },
    };
    await client.patch(kind, metadata.namespace, metadata.name, { kind: "merge", body });
  }
}
