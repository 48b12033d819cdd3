import type { Pod } from "../../api/core.ts";
import type { Client, Recorder } from "../../kube/contract.ts";
import { isConflict, isNotFound } from "../../kube/error.ts";

/** Whether the pod waits for a node and the default scheduler would choose one. */
export function needsNode({ metadata, spec, status }: Pod): boolean {
  const scheduler = spec?.schedulerName ?? "default-scheduler";
  const open = status?.phase !== "Succeeded" && status?.phase !== "Failed";
  return (
    !spec?.nodeName && scheduler === "default-scheduler" && metadata.deletionTimestamp === undefined && open
  );
}

/** Puts a pod on the node through the Binding subresource, as the scheduler does; another's binding stands. */
export async function bindPod(client: Client, recorder: Recorder, pod: Pod, node: string): Promise<void> {
  const { name, namespace = "default", uid } = pod.metadata;
  try {
    await client.request("POST", `/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name, namespace, uid },
      target: { apiVersion: "v1", kind: "Node", name: node },
    });
    recorder.event(pod, "Normal", "Scheduled", `Successfully assigned ${namespace}/${name} to ${node}`);
  } catch (error) {
    if (!isConflict(error) && !isNotFound(error)) throw error;
  }
}
