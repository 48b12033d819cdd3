import type { ReadCanary } from "../../api/canary/types.ts";
import { istioRouter } from "./istio.ts";
import { kubernetesRouter } from "./kubernetes.ts";
import type { Router } from "./router.ts";

const routers: Partial<Readonly<Record<ReadCanary["provider"], Router>>> = {
  istio: istioRouter,
  kubernetes: kubernetesRouter,
};

/** Providers that are driven; all others are accepted with a condition that says so. */
export const drivenProviders: readonly string[] = Object.keys(routers);

/** What carries a Canary's traffic; Istio's objects where its provider is not driven, and so never asked. */
export function chooseRouter({ provider }: Pick<ReadCanary, "provider">): Router {
  return routers[provider] ?? istioRouter;
}

/** Every kind that a router may need to watch. */
export const routerKinds = [...new Set(Object.values(routers).flatMap(({ kinds }) => kinds))];
