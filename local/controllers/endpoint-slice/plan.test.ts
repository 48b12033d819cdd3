import { expect, test } from "vitest";
import type { Pod, Service } from "../../../api/core.ts";
import { planSlices } from "./plan.ts";

function service(fields: Partial<NonNullable<Service["spec"]>> = {}): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { namespace: "shop", name: "web", uid: "s" },
    spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }], ...fields },
  };
}

function pod(
  name: string,
  {
    ready = true,
    port = 8080,
    ip = "127.77.1.1",
    ...metadata
  }: { ready?: boolean; port?: number; ip?: string; deletionTimestamp?: string } = {},
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "shop", name, uid: name, labels: { app: "web" }, ...metadata },
    spec: { nodeName: "n", containers: [{ name: "web", ports: [{ name: "http", containerPort: port }] }] },
    status: {
      phase: "Running",
      podIP: ip,
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
    },
  };
}

const conditions = (pods: readonly Pod[], of = service()) =>
  planSlices(of, pods)[0]?.endpoints?.map((endpoint) => endpoint.conditions);

test("a pod that is being deleted is terminating and not ready at once, though it still serves", () => {
  const going = pod("a", { deletionTimestamp: "2026-01-01T00:00:00Z" });
  expect(conditions([going])).toEqual([{ ready: false, serving: true, terminating: true }]);
  const published = service({ publishNotReadyAddresses: true });
  expect(conditions([pod("a", { ready: false })], published)).toEqual([
    { ready: true, serving: false, terminating: false },
  ]);
});

test("pods that call the same port name different numbers get slices of their own", () => {
  const slices = planSlices(service(), [pod("a"), pod("b", { port: 9090 })]);
  expect(slices.map(({ ports }) => ports?.map(({ port }) => port))).toEqual([[8080], [9090]]);
  expect(new Set(slices.map(({ metadata }) => metadata.name)).size).toBe(2);
  expect(slices[0]?.endpoints?.[0]).toMatchObject({
    addresses: ["127.77.1.1"],
    nodeName: "n",
    targetRef: { kind: "Pod", name: "a" },
  });
});

test("at most 100 endpoints stand in a slice, under names that stay", () => {
  const pods = Array.from({ length: 250 }, (_, index) => pod(`p${index}`));
  const slices = planSlices(service(), pods);
  expect(slices.map(({ endpoints }) => endpoints?.length)).toEqual([100, 100, 50]);
  expect(planSlices(service(), pods.slice(0, 3))[0]?.metadata.name).toBe(slices[0]?.metadata.name);
});

test("a Service without pods has one empty slice; one without selector, or a name outside, has none of ours", () => {
  expect(planSlices(service(), []).map(({ endpoints }) => endpoints)).toEqual([[]]);
  expect(planSlices(service({ selector: {} }), [pod("a")])).toEqual([]);
  expect(planSlices(service({ type: "ExternalName" }), [pod("a")])).toEqual([]);
  expect(planSlices(service(), [pod("a", { ip: "" })])[0]?.endpoints).toEqual([]);
});
