/** What is measured, in one place: the processes of the benchmark agree on it. */
import { run } from "../../mesh/testbed/run.ts";

export { run };

export const proxies = 100;
/** Requests a second over all proxies, and the share that goes to the canary. */
export const rate = 1000;
export const canaryWeight = 10;

export const clusters = {
  primary: `outbound|80||${run.primary.host}`,
  canary: `outbound|80||${run.canary.host}`,
} as const;

export const namespace = "demo";
export const serviceAccount = "shop";

/** Pod of one proxy, of the same length for all, so that what one has sent can be sent in another's name. */
export const podOf = (proxy: number): string => `p-${String(proxy).padStart(4, "0")}`;
/** Node id of one proxy; every tenth is a canary's. */
export const nodeId = (proxy: number): string =>
  `sidecar~127.0.0.1~${podOf(proxy)}.${namespace}~${namespace}.svc.cluster.local`;
export const workloadOf = (proxy: number): string =>
  proxy % canaryWeight === 0 ? run.canary.workload : run.primary.workload;

/** By weight and with the guard, as a Canary without a word about either. */
export const defaultAnalysis = {
  interval: "1m",
  threshold: 5,
  stepWeight: canaryWeight,
  maxWeight: canaryWeight,
  metrics: [
    { name: "request-success-rate", thresholdRange: { min: 99 } },
    { name: "request-duration", thresholdRange: { max: 500 } },
  ],
};
