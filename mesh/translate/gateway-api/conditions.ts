import type { Condition, ResourceRef } from "../../../api/resource.ts";

/** Who writes the statuses, by the Gateway API's rule of one controller a class. */
export const controllerName = "fairlead.dev/gateway";
export const gatewayGroup = "gateway.networking.k8s.io";

/** A condition as it should be; the writer adds its times. */
export type WantedCondition = Required<Pick<Condition, "type" | "status" | "reason" | "message">>;

export function condition(type: string, holds: boolean, reason: string, message = ""): WantedCondition {
  return { type, status: holds ? "True" : "False", reason, message };
}

/** Conditions that stand only while there is something to tell: whoever writes statuses takes them away again. */
export const passingConditions: readonly string[] = ["PartiallyInvalid", "InsecureFrontendValidationMode"];

/** Reason of what a route asks for that is not carried out, though all that it names is there. */
const unsupportedValue = "UnsupportedValue";

/** A part of a route that is not carried out. @param message begins with the field's path */
export function unsupported(message: string): Unresolved {
  return { reason: unsupportedValue, message };
}

/** Why something of a route or listener cannot be resolved, by the words of the specification. */
export interface Unresolved {
  readonly reason: string;
  readonly message: string;
}

/** `ResolvedRefs`, and `PartiallyInvalid` where something of the route is not carried out. */
export function conditionsOf(faults: readonly Unresolved[]): readonly WantedCondition[] {
  const invalid = faults.filter(({ reason }) => reason === unsupportedValue);
  const refs = resolvedRefs(faults.filter(({ reason }) => reason !== unsupportedValue));
  if (invalid.length === 0) return [refs];
  const message = invalid.map((fault) => fault.message).join("; ");
  return [refs, condition("PartiallyInvalid", true, unsupportedValue, message)];
}

/** `ResolvedRefs`: the first of what could not be resolved names the reason, the message names all. */
export function resolvedRefs(faults: readonly Unresolved[]): WantedCondition {
  const [first] = faults;
  return first === undefined
    ? condition("ResolvedRefs", true, "ResolvedRefs")
    : condition("ResolvedRefs", false, first.reason, faults.map(({ message }) => message).join("; "));
}

/** A reference to a parent, as the route wrote it. */
export interface ParentRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
  readonly sectionName?: string;
}

/** What a route's status says of one parent. */
export interface ParentStatus {
  readonly parentRef: ParentRef;
  readonly conditions: readonly WantedCondition[];
}

export interface RouteStatus {
  readonly route: ResourceRef;
  readonly parents: readonly ParentStatus[];
}

export interface ListenerStatus {
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly conditions: readonly WantedCondition[];
}

export interface GatewayStatus {
  readonly gateway: ResourceRef;
  /** Whether any listener can be served: else nothing is deployed. */
  readonly accepted: WantedCondition;
  /** Of what the Gateway names beside its listeners. */
  readonly resolved: WantedCondition;
  /** Where a listener lets clients in without a certificate that can be verified. */
  readonly insecure: WantedCondition | undefined;
  readonly listeners: readonly ListenerStatus[];
}

export interface PolicyStatus {
  readonly policy: ResourceRef;
  readonly ancestors: readonly {
    readonly ancestorRef: ParentRef;
    readonly conditions: readonly WantedCondition[];
  }[];
}
