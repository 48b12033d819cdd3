import type { Deployment } from "../../api/core.ts";
import type { Canary } from "../../api/kinds.ts";

/** Milliseconds between two steps of every canary here. */
export const interval = 10_000;
const namespaces = 20;

/** Where the canary of that number lives. */
export function placeOf(number: number): { readonly namespace: string; readonly name: string } {
  return { namespace: `team-${number % namespaces}`, name: `app-${number}` };
}

export const allNamespaces: readonly string[] = Array.from(
  { length: namespaces },
  (_, index) => `team-${index}`,
);

export function deploymentOf(number: number, image: string): Deployment {
  const { namespace, name } = placeOf(number);
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace, name, labels },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: "app", image, ports: [{ containerPort: 8080 }] }] },
      },
    },
  };
}

/** As a user would write it: weights by `stepWeight` up to 50, both built-in checks. */
export function canaryOf(number: number, stepWeight: number): Canary {
  const { namespace, name } = placeOf(number);
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { namespace, name },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      service: { port: 80, targetPort: 8080 },
      analysis: {
        interval: `${interval / 1000}s`,
        threshold: 5,
        maxWeight: 50,
        stepWeight,
        metrics: [
          { name: "request-success-rate", thresholdRange: { min: 99 }, interval: "30s" },
          { name: "request-duration", thresholdRange: { max: 500 }, interval: "30s" },
        ],
      },
    },
  };
}
