import type { ReadCanary } from "../../api/canary/types.ts";
import { gatewayApiRouter } from "./gateway-api.ts";
import { istioRouter } from "./istio.ts";
import { kubernetesRouter } from "./kubernetes.ts";
import { linkerdRouter } from "./linkerd.ts";
import { nginxRouter } from "./nginx.ts";
import type { Router } from "./router.ts";

const routers: Partial<Readonly<Record<ReadCanary["provider"], Router>>> = {
  istio: istioRouter,
  kubernetes: kubernetesRouter,
  "gatewayapi:v1": gatewayApiRouter("v1"),
  "gatewayapi:v1beta1": gatewayApiRouter("v1beta1"),
  // Its own ServiceProfiles and SMI are gone; an HTTPRoute whose parent is the Service is what it reads.
  linkerd: linkerdRouter,
  nginx: nginxRouter,
};

/** Providers that are driven; all others are accepted with a condition that says so. */
export const drivenProviders: readonly string[] = Object.keys(routers);

/** The router of a provider by its name; undefined where it is not driven. */
export function routerOf(provider: string): Router | undefined {
  return new Map(Object.entries(routers)).get(provider);
}

/** What carries a Canary's traffic; Istio's objects where its provider is not driven, and so never asked. */
export function chooseRouter({ provider }: Pick<ReadCanary, "provider">): Router {
  return routers[provider] ?? istioRouter;
}
