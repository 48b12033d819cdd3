import {
  DestinationRuleKind,
  GRPCRouteKind,
  HTTPRouteKind,
  TCPRouteKind,
  TLSRouteKind,
  VirtualServiceKind,
} from "../api/kinds.ts";
import type { Kind, KubeObject, ResourceRef } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";

/** Kinds of objects that carry a canary's weights. */
export const weightKinds: readonly Kind[] = [
  VirtualServiceKind,
  HTTPRouteKind,
  GRPCRouteKind,
  TCPRouteKind,
  TLSRouteKind,
];

const ruleKinds: readonly Kind[] = [...weightKinds, DestinationRuleKind];

/** The stored object that a reference to a route, or to a rule for its destinations, names. */
export function findRule(snapshot: Snapshot, { kind, namespace, name }: ResourceRef): KubeObject | undefined {
  const found = ruleKinds.find((one) => one.kind === kind);
  return found && snapshot.get(found, namespace, name);
}
