import { arch, availableParallelism, hostname, platform, release, totalmem } from "node:os";
import { type Node, NodeKind } from "../../api/core.ts";
import type { Client } from "../../kube/contract.ts";
import { isAlreadyExists } from "../../kube/error.ts";

export interface NodeFacts {
  readonly name: string;
  readonly address: string;
  /** RFC 3339. */
  readonly now: string;
  /** Where an API server that is not ours asks for logs. */
  readonly kubeletPort?: number;
}

/** This machine as a Node object. */
export function nodeObject({ name, address, now, kubeletPort }: NodeFacts): Node {
  const capacity = {
    cpu: String(availableParallelism()),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: "1000",
  };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      labels: {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": platform(),
        "kubernetes.io/arch": architecture(),
      },
    },
    spec: {},
    status: {
      capacity,
      allocatable: capacity,
      addresses: [
        { type: "InternalIP", address },
        // With a kubelet's port the first that resolves is asked for logs: only the address is ours for certain.
        ...(kubeletPort === undefined ? [{ type: "Hostname", address: hostname() }] : []),
      ],
      ...(kubeletPort === undefined ? {} : { daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } } }),
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "KubeletReady",
          message: "fairlead runs pods as processes of this machine",
          lastHeartbeatTime: now,
          lastTransitionTime: now,
        },
      ],
      nodeInfo: {
        architecture: architecture(),
        operatingSystem: platform(),
        kernelVersion: release(),
        osImage: "this machine",
        containerRuntimeVersion: "process://1.0.0",
        kubeletVersion: "v1.32.0",
        kubeProxyVersion: "",
        bootID: "",
        machineID: "",
        systemUUID: "",
      },
    },
  };
}

/** What an API server puts on a new Node; a node lifecycle controller would take it off. */
const notReadyTaint = "node.kubernetes.io/not-ready";

/** Creates the Node, or brings the one that is there up to date. It is ready: pods may be put on it. */
export async function registerNode(client: Client, node: Node): Promise<void> {
  const { name } = node.metadata;
  await client.create(NodeKind, node).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error;
  });
  const body = { status: node.status };
  const stored = await client.patch(NodeKind, undefined, name, { kind: "merge", body }, "status");
  const taints = stored.spec?.taints ?? [];
  const others = taints.filter(({ key }) => key !== notReadyTaint);
  if (others.length === taints.length) return;
  await client.patch(NodeKind, undefined, name, { kind: "merge", body: { spec: { taints: others } } });
}

/** As Go names it. */
function architecture(): string {
  return arch() === "x64" ? "amd64" : arch();
}
