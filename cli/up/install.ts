import { CustomResourceDefinitionKind, NamespaceKind } from "../../api/core.ts";
import { crds } from "../../api/crds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";
import type { Client } from "../../kube/contract.ts";
import { isAlreadyExists } from "../../kube/error.ts";

/** Home of the control plane: its secrets, its lease, its mesh-wide policies. */
export const homeNamespace = "istio-system";

/** Brings the API server our kinds and the control plane's namespace; what is there already is brought up to date. */
export async function install(client: Client): Promise<void> {
  for (const crd of crds) await put(client, CustomResourceDefinitionKind, crd);
  await put(client, NamespaceKind, {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: homeNamespace },
  });
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
    await client.patch(kind, undefined, metadata.name, { kind: "merge", body });
  }
}
