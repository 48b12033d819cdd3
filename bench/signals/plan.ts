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

/** Node id of one proxy; every tenth is a canary's. */
export const nodeId = (proxy: number): string => `sidecar~127.0.0.1~p-${proxy}.demo~demo.svc.cluster.local`;
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
