import { DestinationRuleKind, GRPCRouteKind, HTTPRouteKind, VirtualServiceKind } from "../api/kinds.ts";
import type { Kind, KubeObject, ResourceRef } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";

/** Kinds of objects that carry a canary's weights. */
export const weightKinds: readonly Kind[] = [VirtualServiceKind, HTTPRouteKind, GRPCRouteKind];

/** The stored object that a route's reference names. */
export function findRoute(
  snapshot: Snapshot,
  { kind, namespace, name }: ResourceRef,
): KubeObject | undefined {
  const found = weightKinds.find((one) => one.kind === kind);
  return found && snapshot.get(found, namespace, name);
}
