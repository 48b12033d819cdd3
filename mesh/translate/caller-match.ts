import type { HttpMatchRequest } from "../../api/generated/virtualservices.ts";
import { mesh } from "../model/caller.ts";
import type { CallerMatch } from "../model/route.ts";

/** For whom a match is; undefined: for all whom its table is for. @see networking.istio.io HTTPMatchRequest, TLSMatchAttributes */
export function translateCallers(
  {
    sourceLabels,
    sourceNamespace,
    gateways,
  }: Pick<HttpMatchRequest, "sourceLabels" | "sourceNamespace" | "gateways">,
  namespace: string,
): CallerMatch | undefined {
  const labels = Object.keys(sourceLabels ?? {}).length === 0 ? undefined : sourceLabels;
  const named = gateways === undefined || gateways.length === 0 ? undefined : gateways;
  if (labels === undefined && !sourceNamespace && named === undefined) return undefined;
  return {
    labels,
    namespace: sourceNamespace || undefined,
    gateways: named?.map((gateway) => qualifiedGateway(gateway, namespace)),
  };
}

/** `mesh`, or a Gateway as `<namespace>/<name>`; one without a namespace stands in its VirtualService's. */
export function qualifiedGateway(gateway: string, namespace: string): string {
  return gateway === mesh || gateway.includes("/") ? gateway : `${namespace}/${gateway}`;
}
