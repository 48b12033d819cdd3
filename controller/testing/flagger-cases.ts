/** The cases by which Flagger's own authors accept it, written anew: each runs against a world in memory and against an API server. */
import { expect } from "vitest";
import {
  DaemonSetKind,
  type Deployment,
  DeploymentKind,
  HorizontalPodAutoscalerKind,
  IngressKind,
  SecretKind,
  type Service,
  ServiceKind,
} from "../../api/core.ts";
import type { CanaryAnalysis, CanarySpec, CanaryWebhook } from "../../api/generated/canaries.ts";
import { type Canary, CanaryKind, HTTPRouteKind, VirtualServiceKind } from "../../api/kinds.ts";
import type { Kind, KubeObject } from "../../api/resource.ts";

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

type Analysis = Omit<CanaryAnalysis, "interval" | "threshold"> & { readonly threshold?: number };

const names = { target: "podinfo", primary: "podinfo-primary" };
const success = { name: "request-success-rate", interval: "1m", thresholdRange: { min: 99 } };
const duration = { name: "request-duration", interval: "30s", thresholdRange: { max: 500 } };
const gatewayRefs = [{ name: "gateway", namespace: "istio-ingress" }];

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

function canaryOf(spec: Partial<CanarySpec>, analysis?: Analysis): Canary {
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

const hook = (type: NonNullable<CanaryWebhook["type"]>, name: string = type): CanaryWebhook => ({
  name,
  type,
  url: "http://flagger-loadtester.default/",
});

const secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "podinfo-secret-env", namespace: "default" },
  type: "Opaque",
  data: { message: "aGVsbG8=" },
};

async function initialized(bed: CaseBed, canary: Canary): Promise<void> {
  await bed.put(SecretKind, secret);
  await bed.put(DeploymentKind, podinfo("6.0.0"));
  await bed.put(CanaryKind, canary);
  await bed.until(({ status }) => status?.phase === "Initialized");
}

async function setImage(bed: CaseBed, image: string, annotation?: string): Promise<void> {
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

const phase = (wanted: string) => (canary: Canary) => canary.status?.phase === wanted;
/** A run's end, with nothing of it left to do. */
const ended = (wanted: string) => (canary: Canary) =>
  canary.status?.phase === wanted && canary.status.run === undefined && canary.status.cleanup === undefined;

async function promoted(bed: CaseBed, image: string): Promise<void> {
  await setImage(bed, image);
  const { status } = await bed.until(ended("Succeeded"));
  expect(status?.lastPromotedSpec).toBe(status?.lastAppliedSpec);
  expect(await primaryImage(bed)).toBe(`podinfo:${image}`);
  expect((await bed.get(DeploymentKind, names.target))?.spec?.replicas).toBe(0);
}

async function primaryImage(bed: CaseBed): Promise<string | undefined> {
  const primary = await bed.get(DeploymentKind, names.primary);
  return primary?.spec?.template.spec?.containers[0]?.image;
}

const cookieMatch = [{ headers: { cookie: { regex: "^(.*?;)?(type=insider)(;.*)?$" } } }];

export const flaggerCases: Readonly<Record<string, (bed: CaseBed) => Promise<void>>> = {
  async "A1 istio/canary: steps to 30, with Services as asked"(bed) {
    const service = {
      port: 9898,
      portDiscovery: true,
      apex: { annotations: { test: "annotations-test" }, labels: { test: "labels-test" } },
      headers: { request: { add: { "x-envoy-upstream-rq-timeout-ms": "15000" } } },
    };
    await initialized(
      bed,
      canaryOf(
        { service },
        { maxWeight: 30, stepWeight: 10, metrics: [success, duration], webhooks: [hook("")] },
      ),
    );
    const apex = await bed.get(ServiceKind, "podinfo");
    expect(apex?.metadata).toMatchObject({
      annotations: service.apex.annotations,
      labels: service.apex.labels,
    });
    expect(apex?.spec?.selector).toEqual({ app: "podinfo-primary" });
    expect(apex?.spec?.ports?.map(({ port }) => port)).toEqual([9898, 9797, 9999]);
    expect(await bed.get(SecretKind, "podinfo-secret-env-primary")).toMatchObject({ data: secret.data });
    await promoted(bed, "6.0.1");
  },

  async "A2 istio/blue-green: five iterations behind pre-rollout hooks"(bed) {
    const service = { port: 80, targetPort: 9898, portName: "http-podinfo", portDiscovery: true };
    const webhooks = [hook("pre-rollout", "acceptance"), hook("pre-rollout", "grpc"), hook("")];
    await initialized(
      bed,
      canaryOf({ service }, { threshold: 5, iterations: 5, metrics: [success], webhooks }),
    );
    await promoted(bed, "6.0.2");
  },

  async "A3 istio/a-b: a cookie's users, a gate before promotion"(bed) {
    const webhooks = [hook("pre-rollout"), hook("confirm-promotion"), hook("post-rollout")];
    await initialized(bed, canaryOf({}, { iterations: 5, match: cookieMatch, metrics: [success], webhooks }));
    await promoted(bed, "6.0.3");
  },

  async "A4 istio/revert: the target has its pods again when the Canary goes"(bed) {
    await initialized(bed, canaryOf({ revertOnDeletion: true }, { stepWeight: 10 }));
    expect((await bed.get(CanaryKind, "podinfo"))?.metadata.finalizers).toEqual(["finalizer.flagger.app"]);
    expect((await bed.get(DeploymentKind, names.target))?.spec?.replicas).toBe(0);
    await bed.deleteCanary();
    expect((await bed.get(DeploymentKind, names.target))?.spec?.replicas).toBe(1);
  },

  async "A5 istio/existing: a Service and a VirtualService that were there stay, as they were"(bed) {
    const spec = { hosts: ["podinfo"], http: [{ route: [{ destination: { host: "podinfo" } }] }] };
    const metadata = { name: "podinfo", namespace: "default" };
    await bed.put(ServiceKind, existingService("podinfo"));
    await bed.put(VirtualServiceKind, {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata,
      spec,
    });
    const before = await bed.get(ServiceKind, "podinfo");
    await initialized(bed, canaryOf({ revertOnDeletion: true }, { stepWeight: 10 }));
    expect((await bed.get(ServiceKind, "podinfo"))?.spec?.selector).toEqual({ app: "podinfo-primary" });
    await bed.deleteCanary();
    const after = await bed.get(ServiceKind, "podinfo");
    expect(after?.spec).toEqual(before?.spec);
    expect(after?.metadata.annotations ?? {}).toEqual(before?.metadata.annotations ?? {});
    expect((await bed.get(VirtualServiceKind, "podinfo"))?.spec).toEqual(spec);
  },

  async "A6 istio/skip-analysis: promoted at once; an image that does not run fails and leaves the primary"(
    bed,
  ) {
    await initialized(bed, canaryOf({ skipAnalysis: true, progressDeadlineSeconds: 2 }, { stepWeight: 10 }));
    await promoted(bed, "6.0.1");
    bed.broken.add("podinfo:none");
    await setImage(bed, "none");
    await bed.until(phase("Failed"));
    expect(await primaryImage(bed)).toBe("podinfo:6.0.1");
  },

  async "A7 istio/delegation: the route names no hosts and no gateways"(bed) {
    await initialized(bed, canaryOf({ service: { port: 9898, delegation: true } }, { stepWeight: 50 }));
    const route = await bed.get(VirtualServiceKind, "podinfo");
    expect([route?.spec.hosts, route?.spec.gateways]).toEqual([undefined, undefined]);
    await promoted(bed, "6.0.1");
  },

  async "A8 istio/session-affinity: both cookies stick, and are taken back"(bed) {
    const service = { port: 9898, hosts: ["*"], gateways: ["istio-system/ingress-gateway"] };
    const sessionAffinity = {
      cookieName: "canary-flagger-cookie",
      primaryCookieName: "primary-flagger-cookie",
    };
    await initialized(
      bed,
      canaryOf({ service }, { stepWeights: [10, 50], sessionAffinity, metrics: [success] }),
    );
    await setImage(bed, "6.0.1");
    // The weight is stored, then written to the route.
    const { status } = await bed.until(async () => (await rulesOf(bed)).at(-1)?.weight === 10);
    const [stays, primary] = await rulesOf(bed);
    expect(stays).toMatchObject({
      cookie: expect.stringContaining(`${status?.sessionAffinityCookie}`),
      weight: 100,
    });
    expect(primary).toMatchObject({
      cookie: expect.stringContaining(`${status?.primarySessionAffinityCookie}`),
      weight: 0,
    });
    const end = await bed.until(ended("Succeeded"));
    expect(end.status?.previousSessionAffinityCookie).toBe(status?.sessionAffinityCookie);
    const [gone] = await rulesOf(bed);
    expect(gone?.sets).toEqual([`${status?.sessionAffinityCookie}; Max-Age=-1`]);
  },

  async "G1 gatewayapi/canary: promoted, then rolled back when requests fail"(bed) {
    const service = { port: 9898, hosts: ["www.example.com"], gatewayRefs };
    await initialized(
      bed,
      canaryOf(
        { provider: "gatewayapi:v1", service },
        { threshold: 6, maxWeight: 50, stepWeight: 10, metrics: [success] },
      ),
    );
    await promoted(bed, "6.0.1");
    bed.failing = true;
    await setImage(bed, "6.0.2");
    await bed.until(ended("Failed"));
    expect(await primaryImage(bed)).toBe("podinfo:6.0.1");
    const route = await bed.get(HTTPRouteKind, "podinfo");
    expect(route?.spec.rules?.[0]?.backendRefs?.map(({ weight }) => weight)).toEqual([100, 0]);
  },

  async "G2 gatewayapi/blue-green: the older way to write a threshold"(bed) {
    const metrics = [{ name: "request-duration", interval: "1m", threshold: 500 }];
    const service = { port: 9898, hosts: ["www.example.com"], gatewayRefs };
    await initialized(bed, canaryOf({ provider: "gatewayapi:v1", service }, { iterations: 5, metrics }));
    await promoted(bed, "6.0.2");
  },

  async "G3 gatewayapi/a-b: who sends a header"(bed) {
    const service = { port: 9898, hosts: ["www.example.com"], gatewayRefs };
    const match = [{ headers: { "x-canary": { exact: "insider" } } }];
    await initialized(
      bed,
      canaryOf({ provider: "gatewayapi:v1", service }, { iterations: 10, match, metrics: [success] }),
    );
    await setImage(bed, "6.0.3");
    await bed.until(({ status }) => status?.iterations === 3);
    const route = await bed.get(HTTPRouteKind, "podinfo");
    expect(route?.spec.rules?.map(({ matches }) => matches?.[0]?.headers?.[0]?.value)).toEqual([
      "insider",
      undefined,
    ]);
    await bed.until(ended("Succeeded"));
    expect(await primaryImage(bed)).toBe("podinfo:6.0.3");
  },

  async "G4 gatewayapi/session-affinity: both cookies stick"(bed) {
    const service = { port: 9898, hosts: ["www.example.com"], gatewayRefs };
    const sessionAffinity = {
      cookieName: "canary-flagger-cookie",
      primaryCookieName: "primary-flagger-cookie",
    };
    await initialized(
      bed,
      canaryOf(
        { provider: "gatewayapi:v1", service },
        { stepWeights: [10, 50], sessionAffinity, metrics: [success] },
      ),
    );
    await setImage(bed, "6.0.1");
    const weights = async () => {
      const rules = (await bed.get(HTTPRouteKind, "podinfo"))?.spec.rules ?? [];
      return rules.map(({ backendRefs }) => backendRefs?.[1]?.weight);
    };
    await bed.until(async () => (await weights()).at(-1) === 10);
    expect(await weights()).toEqual([100, 0, 10]);
    await bed.until(ended("Succeeded"));
  },

  async "K1 kubernetes/deployment: a Service that was there, a gate before the rollout"(bed) {
    await bed.put(ServiceKind, existingService("podinfo-svc"));
    const service = { port: 80, targetPort: 9898, name: "podinfo-svc" };
    const webhooks = [hook("confirm-rollout")];
    await initialized(
      bed,
      canaryOf({ provider: "kubernetes", service }, { iterations: 5, metrics: [success], webhooks }),
    );
    const apex = await bed.get(ServiceKind, "podinfo-svc");
    expect(apex?.metadata.annotations).toMatchObject({
      "kustomize.toolkit.fluxcd.io/reconcile": "disabled",
      "helm.toolkit.fluxcd.io/driftDetection": "disabled",
    });
    const primary = await bed.get(DeploymentKind, names.primary);
    expect(primary?.metadata.labels).toMatchObject({ "test-label-prefix-team": "x" });
    expect(primary?.metadata.annotations).toMatchObject({ "test-annotation-prefix-team": "y" });
    await promoted(bed, "6.0.1");
    expect((await bed.get(ServiceKind, "podinfo-svc"))?.spec?.selector).toEqual({ app: "podinfo-primary" });
  },

  async "K2 kubernetes/daemonset: promoted, then reverted"(bed) {
    const { metadata, spec } = podinfo("6.0.0");
    await bed.put(SecretKind, secret);
    await bed.put(DaemonSetKind, {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata,
      spec: { selector: spec?.selector ?? {}, template: spec?.template ?? {} },
    });
    const targetRef = { apiVersion: "apps/v1", kind: "DaemonSet", name: names.target } as const;
    const made = canaryOf({ provider: "kubernetes", targetRef, revertOnDeletion: true }, { iterations: 5 });
    await bed.put(CanaryKind, made);
    await bed.until(phase("Initialized"));
    await bed.edit(DaemonSetKind, names.target, (object) => {
      const template = podinfo("6.0.1").spec?.template ?? {};
      const { nodeSelector } = object.spec?.template.spec ?? {};
      const pods = {
        ...template.spec,
        containers: template.spec?.containers ?? [],
        ...(nodeSelector && { nodeSelector }),
      };
      const next = {
        ...object.spec,
        selector: object.spec?.selector ?? {},
        template: { ...template, spec: pods },
      };
      return { ...object, spec: next };
    });
    await bed.until(ended("Succeeded"));
    const primary = await bed.get(DaemonSetKind, names.primary);
    expect(primary?.spec?.template.spec?.containers[0]?.image).toBe("podinfo:6.0.1");
    await bed.deleteCanary();
    const target = await bed.get(DaemonSetKind, names.target);
    expect(target?.spec?.template.spec?.nodeSelector ?? {}).toEqual({});
  },

  async "K3 kubernetes/hpa: the primary's scaler follows the target's"(bed) {
    const scaler = (utilization: number) => ({
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: { name: "podinfo", namespace: "default" },
      spec: {
        scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "podinfo" },
        minReplicas: 2,
        maxReplicas: 4,
        metrics: [
          {
            type: "Resource",
            resource: { name: "cpu", target: { type: "Utilization", averageUtilization: utilization } },
          },
        ],
      },
    });
    await bed.put(HorizontalPodAutoscalerKind, scaler(99));
    const autoscalerRef = {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      name: "podinfo",
      primaryScalerReplicas: { maxReplicas: 6 },
    } as const;
    await initialized(bed, canaryOf({ provider: "kubernetes", autoscalerRef }, { iterations: 5 }));
    const primary = await bed.get(HorizontalPodAutoscalerKind, names.primary);
    expect(primary?.spec).toMatchObject({
      scaleTargetRef: { name: names.primary },
      minReplicas: 2,
      maxReplicas: 6,
    });
    await bed.edit(HorizontalPodAutoscalerKind, "podinfo", (object) => ({
      ...object,
      ...scaler(50),
      metadata: object.metadata,
    }));
    await bed.until(phase("Initialized"));
    await setImage(bed, "6.0.1");
    await bed.until(ended("Succeeded"));
    const followed = await bed.get(HorizontalPodAutoscalerKind, names.primary);
    expect(followed?.spec?.metrics?.[0]?.resource?.target.averageUtilization).toBe(50);
  },

  async "N1 nginx/lifecycle: rolled back, back at the old, tried again, mended"(bed) {
    await bed.put(IngressKind, {
      apiVersion: "networking.k8s.io/v1",
      kind: "Ingress",
      metadata: { name: "podinfo", namespace: "default" },
      spec: {
        ingressClassName: "nginx",
        rules: [
          {
            host: "app.example.com",
            http: {
              paths: [
                {
                  path: "/",
                  pathType: "Prefix",
                  backend: { service: { name: "podinfo", port: { number: 9898 } } },
                },
              ],
            },
          },
        ],
      },
    });
    const ingressRef = { apiVersion: "networking.k8s.io/v1", kind: "Ingress", name: "podinfo" } as const;
    await initialized(
      bed,
      canaryOf(
        { provider: "nginx", ingressRef },
        { threshold: 2, maxWeight: 30, stepWeight: 10, metrics: [success] },
      ),
    );
    bed.failing = true;
    await setImage(bed, "6.0.1");
    await bed.until(ended("Failed"));
    const hash = (await bed.get(CanaryKind, "podinfo"))?.status?.lastPromotedSpec;
    await setImage(bed, "6.0.0");
    await bed.until(ended("Failed"));
    expect(await primaryImage(bed)).toBe("podinfo:6.0.0");
    expect((await bed.get(CanaryKind, "podinfo"))?.status?.lastPromotedSpec).toBe(hash);
    await bed.until((canary) => canary.status?.lastAppliedSpec === hash);
    await setImage(bed, "6.0.1");
    await bed.until(phase("Progressing"));
    await bed.until(ended("Failed"));
    bed.failing = false;
    await setImage(bed, "6.0.1", "mended");
    await bed.until(ended("Succeeded"));
    expect(await primaryImage(bed)).toBe("podinfo:6.0.1");
  },
};

function existingService(name: string): Service {
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

/** The rules of the VirtualService: which cookie they ask for, what the canary gets, and what their answers set. */
async function rulesOf(bed: CaseBed) {
  const route = await bed.get(VirtualServiceKind, "podinfo");
  return (route?.spec.http ?? []).map(({ match, route: arms = [] }) => ({
    cookie: match?.[0]?.headers?.Cookie?.regex,
    weight: arms.find(({ destination }) => destination.host === "podinfo-canary")?.weight,
    sets: arms.flatMap(({ headers }) => headers?.response?.add?.["Set-Cookie"] ?? []),
  }));
}
