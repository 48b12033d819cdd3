import type { Run } from "../../api/signals.ts";

/** A canary's run that tests of signals are about. */
export const run: Run = {
  route: { kind: "VirtualService", namespace: "demo", name: "shop" },
  canaryUid: "uid",
  namespace: "demo",
  primary: { host: "shop-primary.demo.svc.cluster.local", workload: "shop-primary" },
  canary: { host: "shop-canary.demo.svc.cluster.local", workload: "shop" },
  run: "1",
  revision: "r",
};
