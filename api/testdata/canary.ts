import type { UnreadObject } from "../resource.ts";

/** A Canary whose spec is complete but for what a test says. */
export function canary(
  spec: object,
  analysis: object = { interval: "10s", threshold: 5, stepWeight: 10 },
): UnreadObject {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "shop", namespace: "demo" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80 },
      analysis,
      ...spec,
    },
  };
}

/** The same with this analysis, whose pace and threshold are given. */
export function analysed(analysis: object): UnreadObject {
  return canary({}, { interval: "10s", threshold: 5, ...analysis });
}

