/** Where the cases of Flagger are played, and what they have in common. */
import { expect } from "vitest";
import { type Deployment, DeploymentKind, SecretKind, type Service } from "../../../api/core.ts";
import type { CanaryAnalysis, CanarySpec, CanaryWebhook } from "../../../api/generated/canaries.ts";
import { type Canary, CanaryKind } from "../../../api/kinds.ts";
import type { Kind, KubeObject } from "../../../api/resource.ts";

/** Where a case happens. Its one Canary is `podinfo`, in the namespace `default`. */
export interface CaseBed {
  put<T extends KubeObject>(kind: Kind<T>, object: T): Promise<void>;
  edit<T extends KubeObject>(kind: Kind<T>, name: string, change: (object: T) => T): Promise<void>;
  get<T extends KubeObject>(kind: Kind<T>, name: string): Promise<T | undefined>;
  /** Deletes the Canary, and waits until the controller lets it go. */
  deleteCanary(): Promise<void>;
  until(condition: (canary: Canary) => boolean | Promise<boolean>): Promise<Canary>;
  /** How the checks of the canary end from now on. */
  failing: boolean;
  /** Images whose pods never get ready. */
  readonly broken: { add(image: string): unknown };
}

export type Analysis = Omit<CanaryAnalysis, "interval" | "threshold"> & { readonly threshold?: number };

export const names = { target: "podinfo", primary: "podinfo-primary" };
export const success = { name: "request-success-rate", interval: "1m", thresholdRange: { min: 99 } };
export const duration = { name: "request-duration", interval: "30s", thresholdRange: { max: 500 } };
export const gatewayRefs = [{ name: "gateway", namespace: "istio-ingress" }];

export function podinfo(image: string): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: names.target,
      namespace: "default",
      labels: { app: "podinfo", "test-label-prefix-team": "x" },
      annotations: { "test-annotation-prefix-team": "y" },
    },
    spec: {
      replicas: 1,
      minReadySeconds: 0,
      selector: { matchLabels: { app: "podinfo" } },
      template: {
        metadata: { labels: { app: "podinfo" } },
        spec: {
          containers: [
            {
              name: "podinfod",
              image: `podinfo:${image}`,
              ports: [
                { name: "http", containerPort: 9898 },
                { name: "http-metrics", containerPort: 9797 },
                { name: "grpc", containerPort: 9999 },
              ],
              env: [
                {
                  name: "PODINFO_UI_MESSAGE",
                  valueFrom: { secretKeyRef: { name: "podinfo-secret-env", key: "message" } },
                },
              ],
            },
          ],
        },
      },
    },
  };
}

export function canaryOf(spec: Partial<CanarySpec>, analysis?: Analysis): Canary {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name: "podinfo", namespace: "default" },
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: names.target },
      progressDeadlineSeconds: 60,
      service: { port: 9898 },
      ...spec,
      ...(analysis && { analysis: { interval: "1s", threshold: 15, ...analysis } }),
    },
  };
}

export const hook = (type: NonNullable<CanaryWebhook["type"]>, name: string = type): CanaryWebhook => ({
  name,
  type,
  url: "http://flagger-loadtester.default/",
});

export const secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "podinfo-secret-env", namespace: "default" },
  type: "Opaque",
  data: { message: "aGVsbG8=" },
};

export async function initialized(bed: CaseBed, canary: Canary): Promise<void> {
  await bed.put(SecretKind, secret);
  await bed.put(DeploymentKind, podinfo("6.0.0"));
  await bed.put(CanaryKind, canary);
  await bed.until(({ status }) => status?.phase === "Initialized");
}

export async function setImage(bed: CaseBed, image: string, annotation?: string): Promise<void> {
  await bed.edit(DeploymentKind, names.target, (object) => {
    const template = podinfo(image).spec?.template ?? {};
    const annotations = annotation && { annotations: { canary: annotation } };
    const spec = { ...object.spec, selector: object.spec?.selector ?? {} };
    return {
      ...object,
      spec: { ...spec, template: { ...template, metadata: { ...template.metadata, ...annotations } } },
    };
  });
}

export const phase = (wanted: string) => (canary: Canary) => canary.status?.phase === wanted;
/** A run's end, with nothing of it left to do. */
export const ended = (wanted: string) => (canary: Canary) =>
  canary.status?.phase === wanted && canary.status.run === undefined && canary.status.cleanup === undefined;

export async function promoted(bed: CaseBed, image: string): Promise<void> {
  await setImage(bed, image);
  const { status } = await bed.until(ended("Succeeded"));
  expect(status?.lastPromotedSpec).toBe(status?.lastAppliedSpec);
  expect(await primaryImage(bed)).toBe(`podinfo:${image}`);
  expect((await bed.get(DeploymentKind, names.target))?.spec?.replicas).toBe(0);
}

export async function primaryImage(bed: CaseBed): Promise<string | undefined> {
  const primary = await bed.get(DeploymentKind, names.primary);
  return primary?.spec?.template.spec?.containers[0]?.image;
}

export const cookieMatch = [{ headers: { cookie: { regex: "^(.*?;)?(type=insider)(;.*)?$" } } }];

export type FlaggerCases = Readonly<Record<string, (bed: CaseBed) => Promise<void>>>;

export function existingService(name: string): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: {
      type: "ClusterIP",
      selector: { app: "podinfo" },
      ports: [{ name: "http", port: 9898, protocol: "TCP", targetPort: "http" }],
    },
  };
}
