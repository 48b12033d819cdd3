import { type Event, EventKind } from "../../api/core.ts";
import type { KubeObject } from "../../api/resource.ts";
import type { Client } from "../../kube/contract.ts";
import { inOrder } from "./row.ts";

/** The Events on an object, oldest first: those of its uid, not of an earlier one of its name. */
export async function eventsOf(client: Client, { kind, metadata }: KubeObject): Promise<readonly Event[]> {
  const fieldSelector = `involvedObject.kind=${kind},involvedObject.name=${metadata.name}`;
  const { items } = await client.list(EventKind, {
    namespace: metadata.namespace ?? "default",
    fieldSelector,
  });
  return inOrder(
    items.filter(
      ({ involvedObject }) =>
        involvedObject.kind === kind &&
        involvedObject.name === metadata.name &&
        (involvedObject.uid === undefined || involvedObject.uid === metadata.uid),
    ),
  );
}
