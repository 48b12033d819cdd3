import { DeploymentKind, EventKind, NamespaceKind, PodKind, ServiceAccountKind } from "../../api/core.ts";
import {
  AuthorizationPolicyKind,
  type Canary,
  CanaryKind,
  RequestAuthenticationKind,
} from "../../api/kinds.ts";
import type { Kind, UnreadObject } from "../../api/resource.ts";
import type { Client } from "../../kube/contract.ts";
import { namespace } from "./manifests.ts";

const kinds: readonly Kind[] = [
  NamespaceKind,
  ServiceAccountKind,
  DeploymentKind,
  PodKind,
  CanaryKind,
  AuthorizationPolicyKind,
  RequestAuthenticationKind,
];

/** Applies objects as `kubectl apply --server-side` does. */
export async function apply(client: Client, ...objects: readonly UnreadObject[]): Promise<void> {
  for (const object of objects) {
    const kind = kinds.find((candidate) => candidate.kind === object.kind);
    if (kind === undefined) throw new Error(`the demo applies no ${object.kind}`);
    const { name } = object.metadata;
    await client.patch(kind, object.metadata.namespace, name, { kind: "apply", body: object, force: true });
  }
}

/** The demo's Canary as it stands. */
export async function readCanary(client: Client): Promise<Canary | undefined> {
  return client.get(CanaryKind, namespace, "shop");
}

/** The words of the controller about the demo's Canary, oldest first. */
export async function readEvents(client: Client): Promise<{ at: number; type: string; message: string }[]> {
  const { items } = await client.list(EventKind, { namespace, fieldSelector: "involvedObject.kind=Canary" });
  return items
    .map((event) => ({
      at: Date.parse(event.lastTimestamp ?? event.metadata.creationTimestamp ?? ""),
      type: event.type ?? "Normal",
      message: event.message ?? "",
    }))
    .sort((a, b) => a.at - b.at);
}

/** The first line that a pod's container wrote, once the pod has ended. */
export async function firstLineOf(client: Client, pod: string, container: string): Promise<string> {
  const text = await client.text(`/api/v1/namespaces/${namespace}/pods/${pod}/log?container=${container}`);
  return text.split("\n")[0] ?? "";
}

/** Which container of the demo's pods does not stay up, and the words of its log that say why; undefined while all may. */
export async function crashedPod(client: Client): Promise<string | undefined> {
  const { items } = await client.list(PodKind, { namespace });
  for (const { metadata, status } of items) {
    const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
    // A first try may come too early for what it needs.
    const crashed = containers.find(
      ({ state, restartCount }) => state?.waiting?.reason === "CrashLoopBackOff" && restartCount > 1,
    );
    if (crashed === undefined) continue;
    const path = `/api/v1/namespaces/${namespace}/pods/${metadata.name}/log?container=${crashed.name}`;
    const lines = (await client.text(path)).trimEnd().split("\n");
    const words = lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? "";
    return `container ${crashed.name} of pod ${metadata.name} ended ${crashed.restartCount + 1} times: ${words}`;
  }
  return undefined;
}

/**
 * Waits until `ask` answers something.
 *
 * @throws naming `what` after `seconds`; an API server that is away meanwhile is only waited for
 */
export async function until<T>(
  what: string,
  seconds: number,
  ask: () => Promise<T | undefined>,
  signal?: AbortSignal,
): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${seconds} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
