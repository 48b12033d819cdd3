/** With Istio's objects: A1 to A8. */
import { expect } from "vitest";
import { DeploymentKind, SecretKind, ServiceKind } from "../../../api/core.ts";
import { CanaryKind, VirtualServiceKind } from "../../../api/kinds.ts";
import {
  type CaseBed,
  canaryOf,
  cookieMatch,
  duration,
  ended,
  existingService,
  type FlaggerCases,
  hook,
  initialized,
  names,
  phase,
  primaryImage,
  promoted,
  secret,
  setImage,
  success,
} from "./bed.ts";

export const istioCases: FlaggerCases = {
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
};

/** The rules of the VirtualService: which cookie they ask for, what the canary gets, and what their answers set. */
async function rulesOf(bed: CaseBed) {
  const route = await bed.get(VirtualServiceKind, "podinfo");
  return (route?.spec.http ?? []).map(({ match, route: arms = [] }) => ({
    cookie: match?.[0]?.headers?.Cookie?.regex,
    weight: arms.find(({ destination }) => destination.host === "podinfo-canary")?.weight,
    sets: arms.flatMap(({ headers }) => headers?.response?.add?.["Set-Cookie"] ?? []),
  }));
}
