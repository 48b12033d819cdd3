/** A Service that a Canary made, deleted by somebody: callers keep it until it is there again, or 3 s. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KubeObject } from "../api/resource.ts";
import { createManualClock } from "../kube/testing/manual-clock.ts";
import { silent } from "../lib/log.ts";
import type { Mesh } from "./contract.ts";
import { startMesh } from "./start.ts";
import { createMemoryInformers } from "./testbed/informers.ts";

const host = "shop-canary.demo.svc.cluster.local";

function service(uid: string, owner = "Canary"): KubeObject & Record<string, unknown> {
  const ownerReferences = [
    { apiVersion: "flagger.app/v1beta1", kind: owner, name: "shop", uid: "c", controller: true },
  ];
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "shop-canary", namespace: "demo", uid, ownerReferences },
    spec: { clusterIP: "None", selector: { app: "shop" }, ports: [{ name: "http", port: 80 }] },
  };
}

function slice(uid: string, ready: boolean, ip = "10.0.0.1"): KubeObject & Record<string, unknown> {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `shop-canary-${uid}`,
      namespace: "demo",
      labels: { "kubernetes.io/service-name": "shop-canary" },
      ownerReferences: [{ apiVersion: "v1", kind: "Service", name: "shop-canary", uid, controller: true }],
    },
    ports: [{ name: "http", port: 8080 }],
    endpoints: [{ addresses: [ip], conditions: { ready } }],
  };
}

let informers: ReturnType<typeof createMemoryInformers>;
let clock: ReturnType<typeof createManualClock>;
let mesh: Mesh;

async function start(...objects: readonly KubeObject[]): Promise<void> {
  informers = createMemoryInformers(objects);
  clock = createManualClock();
  mesh = await startMesh({ informers, clock, logger: silent });
}

/** Addresses behind the Service as callers have it; undefined where they have no such Service. */
async function addresses(): Promise<readonly string[] | undefined> {
  await clock.advance(100);
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  if (mesh.model().services.get(host) === undefined) return undefined;
  const endpoints = mesh.model().endpoints.get(host)?.byPort.get(80) ?? [];
  return endpoints.map(({ address }) => address);
}

beforeEach(() => start(service("1"), slice("1", true)));
afterEach(() => mesh.close());

test("its pods are reached until it is there again with pods of its own", async () => {
  expect(await addresses()).toEqual(["10.0.0.1"]);
  informers.remove(service("1"));
  expect(await addresses()).toEqual(["10.0.0.1"]);
  informers.remove(slice("1", true));
  expect(await addresses()).toEqual(["10.0.0.1"]);
  informers.put(service("2"));
  expect(await addresses()).toEqual(["10.0.0.1"]);
  informers.put(slice("2", false, "10.0.0.2"));
  expect(await addresses()).toEqual(["10.0.0.1"]);
  informers.put(slice("2", true, "10.0.0.2"));
  expect(await addresses()).toEqual(["10.0.0.2"]);
  await clock.advance(5000);
  expect(await addresses()).toEqual(["10.0.0.2"]);
});

test("the slices of the deleted one may go after the new one came", async () => {
  informers.remove(service("1"));
  informers.put(service("2"));
  expect(await addresses()).toEqual(["10.0.0.1"]);
  informers.remove(slice("1", true));
  expect(await addresses()).toEqual(["10.0.0.1"]);
});

test("one that is not made again is gone after 3 s", async () => {
  informers.remove(service("1"));
  informers.remove(slice("1", true));
  await clock.advance(2500);
  expect(await addresses()).toEqual(["10.0.0.1"]);
  await clock.advance(500);
  expect(await addresses()).toBeUndefined();
});

test("one that no Canary made is gone at once, and so are pods that only its slices lose", async () => {
  informers.remove(slice("1", true));
  expect(await addresses()).toEqual([]);
  mesh.close();
  await start(service("1", "Gateway"), slice("1", true));
  informers.remove(service("1", "Gateway"));
  expect(await addresses()).toBeUndefined();
});
