import type { AllowedRoutes } from "../../../api/generated/gateway-api-gateways.ts";
import { commonHost } from "../../model/gateway.ts";
import { condition, gatewayGroup, type ParentRef, type WantedCondition } from "./conditions.ts";
import { fitsSelector } from "./label-selector.ts";
import type { ReadGateway, ReadListener } from "./listeners.ts";

/** A route as it asks to be attached. */
export interface Attachable {
  readonly kind: string;
  readonly namespace: string;
  /** Empty: any. */
  readonly hostnames: readonly string[];
}

export interface Attachment {
  readonly listeners: readonly ReadListener[];
  readonly accepted: WantedCondition;
}

/** Labels of a namespace; undefined where it is not known. */
export type LabelsOf = (namespace: string) => Readonly<Record<string, string>> | undefined;

/** To which listeners of a Gateway a route attaches by one of its parentRefs, or why to none. */
export function attach(
  route: Attachable,
  { sectionName, port }: Pick<ParentRef, "sectionName" | "port">,
  { listeners, gateway }: ReadGateway,
  labelsOf: LabelsOf,
): Attachment {
  const refused = (reason: string, message: string): Attachment => ({
    listeners: [],
    accepted: condition("Accepted", false, reason, message),
  });
  const named = listeners.filter(
    ({ listener }) =>
      (sectionName === undefined || listener.name === sectionName) &&
      (port === undefined || listener.port === port),
  );
  if (named.length === 0) {
    const wanted = [
      sectionName !== undefined && `name \`${sectionName}\``,
      port !== undefined && `port ${port}`,
    ];
    const words = wanted.filter(Boolean).join(" and ");
    return refused("NoMatchingParent", `Gateway \`${gateway.name}\` has no listener of ${words}`);
  }
  const allowing = named.filter(
    ({ kinds, listener }) =>
      kinds.includes(route.kind) &&
      allowsNamespace(listener.allowedRoutes, gateway.namespace, route.namespace, labelsOf),
  );
  if (allowing.length === 0)
    return refused(
      "NotAllowedByListeners",
      `no listener allows routes of kind ${route.kind} of namespace \`${route.namespace}\``,
    );
  const meeting = allowing.filter(({ listener }) => meets(listener.hostname, route.hostnames));
  if (meeting.length === 0)
    return refused(
      "NoMatchingListenerHostname",
      `no listener has one of the hostnames ${route.hostnames.map((name) => `\`${name}\``).join(", ")}`,
    );
  return { listeners: meeting, accepted: condition("Accepted", true, "Accepted") };
}

function meets(own: string | undefined, hostnames: readonly string[]): boolean {
  if (own === undefined || hostnames.length === 0) return true;
  return hostnames.some((name) => commonHost(own.toLowerCase(), name.toLowerCase()) !== undefined);
}

function allowsNamespace(
  allowed: AllowedRoutes | undefined,
  own: string,
  asking: string,
  labelsOf: LabelsOf,
): boolean {
  const { from = "Same", selector } = allowed?.namespaces ?? {};
  switch (from) {
    case "All":
      return true;
    case "Same":
      return asking === own;
    case "Selector": {
      const labels = labelsOf(asking);
      return labels !== undefined && selector !== undefined && fitsSelector(selector, labels);
    }
  }
}

/** Whether a parentRef names a Gateway; its namespace is the route's where it has none. */
export function isGatewayRef({ group, kind }: ParentRef): boolean {
  return (group ?? gatewayGroup) === gatewayGroup && (kind ?? "Gateway") === "Gateway";
}

/** Whether it names a Service: the route is for the mesh (GAMMA). */
export function isServiceRef({ group, kind }: ParentRef): boolean {
  return group === "" && kind === "Service";
}
