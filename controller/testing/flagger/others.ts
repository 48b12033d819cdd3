/** With the Gateway API, without a mesh, and with NGINX. */
import { expect } from "vitest";
import {
  DaemonSetKind,
  DeploymentKind,
  HorizontalPodAutoscalerKind,
  IngressKind,
  SecretKind,
  ServiceKind,
} from "../../../api/core.ts";
import { CanaryKind, HTTPRouteKind } from "../../../api/kinds.ts";
import { autoscalerOf, autoscalerRef } from "../autoscaler.ts";
import {
  canaryOf,
  ended,
  existingService,
  type FlaggerCases,
  gatewayRefs,
  hook,
  initialized,
  names,
  phase,
  podinfo,
  primaryImage,
  promoted,
  secret,
  setImage,
  success,
} from "./bed.ts";

export const otherCases: FlaggerCases = {
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
    const scaler = (utilization: number) =>
      autoscalerOf("podinfo", {
        maxReplicas: 4,
        metrics: [
          {
            type: "Resource",
            resource: { name: "cpu", target: { type: "Utilization", averageUtilization: utilization } },
          },
        ],
      });
    await bed.put(HorizontalPodAutoscalerKind, scaler(99));
    const ofPodinfo = { ...autoscalerRef, name: "podinfo", primaryScalerReplicas: { maxReplicas: 6 } };
    await initialized(bed, canaryOf({ provider: "kubernetes", autoscalerRef: ofPodinfo }, { iterations: 5 }));
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
    await bed.until(phase("Promoting"));
    // The primary is to have the pods for all traffic first. The cluster's autoscaler, which no bed runs, follows its floor.
    const floor = async () =>
      (await bed.get(HorizontalPodAutoscalerKind, names.primary))?.spec?.minReplicas ?? 0;
    await bed.until(async () => (await floor()) > 2);
    const least = await floor();
    await bed.edit(DeploymentKind, names.primary, (object) => ({
      ...object,
      ...(object.spec && { spec: { ...object.spec, replicas: least } }),
    }));
    await bed.until(ended("Succeeded"));
    const followed = await bed.get(HorizontalPodAutoscalerKind, names.primary);
    expect(followed?.spec?.metrics?.[0]?.resource?.target.averageUtilization).toBe(50);
  },

  async "S1 istio/service: a Service as target is released by its selector"(bed) {
    const selecting = (version: string) => ({ app: "podinfo", version });
    const { spec, ...service } = existingService("podinfo");
    await bed.put(ServiceKind, { ...service, spec: { ...spec, selector: selecting("1") } });
    const targetRef = { apiVersion: "v1", kind: "Service", name: "podinfo" } as const;
    const analysis = { stepWeights: [20, 60], threshold: 1, metrics: [success] };
    await bed.put(CanaryKind, canaryOf({ targetRef, revertOnDeletion: true }, analysis));
    await bed.until(phase("Initialized"));
    const leadsTo = async (name: string) => (await bed.get(ServiceKind, name))?.spec?.selector?.version;
    expect([await leadsTo("podinfo-primary"), await leadsTo("podinfo-canary")]).toEqual(["1", "1"]);
    await bed.edit(ServiceKind, "podinfo", (object) => ({
      ...object,
      spec: { ...object.spec, selector: selecting("2") },
    }));
    await bed.until(({ status }) => status?.canaryWeight === 20);
    expect([await leadsTo("podinfo-primary"), await leadsTo("podinfo-canary")]).toEqual(["1", "2"]);
    await bed.until(ended("Succeeded"));
    expect([await leadsTo("podinfo-primary"), await leadsTo("podinfo-canary")]).toEqual(["2", "2"]);
    bed.failing = true;
    await bed.edit(ServiceKind, "podinfo", (object) => ({
      ...object,
      spec: { ...object.spec, selector: selecting("3") },
    }));
    await bed.until(ended("Failed"));
    expect([await leadsTo("podinfo"), await leadsTo("podinfo-primary")]).toEqual(["3", "2"]);
    await bed.deleteCanary();
    expect(await leadsTo("podinfo")).toBe("3");
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
