import type { ReadCanary } from "../../api/canary/types.ts";
import { gatewayApiRouter } from "./gateway-api.ts";
import type { Router } from "./router.ts";

const gatewayApi = gatewayApiRouter("v1");

/** Linkerd follows an HTTPRoute whose parent is the apex Service: the Gateway API's router, with that parent. */
export const linkerdRouter: Router = {
  ...gatewayApi,
  observe: (canary, ...rest) => gatewayApi.observe(withParent(canary), ...rest),
  objects: (canary, ...rest) => gatewayApi.objects(withParent(canary), ...rest),
  setTraffic: (canary, ...rest) => gatewayApi.setTraffic(withParent(canary), ...rest),
};

/** Clients in the mesh call the Service by its port: there are no host names to match. */
function withParent(canary: ReadCanary): ReadCanary {
  const { service, names } = canary;
  const parent = { group: "", kind: "Service", name: names.apexService, port: service.port };
  return { ...canary, service: { ...service, gatewayRefs: [parent], hosts: [] } };
}
