import { expect, test } from "vitest";
import type { KubeObject } from "../../api/resource.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { defaultSettings } from "../model/model.ts";
import { type Proxy, readNode } from "../model/proxy.ts";
import { createTranslator } from "../translate/translate.ts";
import { createBuilder } from "./builder.ts";
import { namesOf, noResources } from "./resource-set.ts";
import type { View } from "./view.ts";
import { noPolicies } from "./workload-filters.ts";

function service(namespace: string, name: string, portName: string, number: number): KubeObject {
  return {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name, namespace } },
    spec: { clusterIP: `10.96.0.${number % 250}`, ports: [{ name: portName, port: number }] },
  } as KubeObject;
}

function slice(namespace: string, name: string, address: string): KubeObject {
  return {
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
    metadata: { name: `${name}-1`, namespace, labels: { "kubernetes.io/service-name": name } },
    ports: [{ name: "http", port: 8080 }],
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
  } as KubeObject;
}

function route(host: string, http: object): KubeObject {
  const metadata = { name: host, namespace: "stock" };
  return {
    ...{ apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata },
    spec: { hosts: [host], http: [http] },
  } as KubeObject;
}

const objects = [
  service("web", "caller", "http", 80),
  ...["one", "two", "left", "right", "copy"].map((name) => service("stock", name, "http", 80)),
  // Longer than 127 characters as a cluster's name, so that its length takes two bytes.
  service("stock", `${"long-name-".repeat(6)}db`, "tcp", 5432),
  service("stock", "cache", "redis", 6379),
  route("two", {
    route: ["left", "right"].map((host) => ({ destination: { host }, weight: 50 })),
    mirror: { host: "copy" },
  }),
  slice("stock", "one", "10.1.0.1"),
];

function sidecar(pod: string, metadata: Record<string, string> = { FAIRLEAD_SCOPE: "learned" }): Proxy {
  const id = `sidecar~10.9.0.1~${pod}.web~web.svc.cluster.local`;
  const proxy = readNode({ id, metadata: { WORKLOAD_NAME: "caller", ...metadata } });
  if ("refused" in proxy) throw new Error(proxy.refused);
  return proxy;
}

/** Names of Services whose clusters and, apart, endpoints a view has. */
function servicesIn({ resources }: View): readonly string[] {
  const of = (names: Iterable<string>) =>
    [...names]
      .flatMap((name) => /^outbound\|\d+\|\|([a-z]+)[a-z-]*\.(?:stock|web)\.svc/.exec(name)?.[1] ?? [])
      .sort();
  const [clusters, endpoints] = [of(namesOf(resources.cluster)), of(namesOf(resources.endpoint))];
  expect(endpoints).toEqual(clusters);
  return clusters;
}

const silent = { inboundAccessLogs: () => [], outboundAccessLogs: () => [], upstreamAttemptLogs: () => [] };

function mesh() {
  const translate = createTranslator(defaultSettings);
  const builder = createBuilder({ policyFilters: () => noPolicies, telemetry: silent });
  return { modelOf: (from: readonly KubeObject[]) => translate(snapshotOf(from)).model, builder };
}

const name = (host: string) => `outbound|80||${host}.stock.svc.cluster.local`;

test("a sidecar that learns has its namespace, mirrors and what its listeners name; a call brings all that its route leads to", () => {
  const { modelOf, builder } = mesh();
  const model = modelOf(objects);
  const [first, second] = [sidecar("caller-1"), sidecar("caller-2")];
  const always = ["cache", "caller", "copy", "long"];
  expect(servicesIn(builder.viewOf(model, first))).toEqual(always);
  expect(servicesIn(builder.viewOf(model, sidecar("caller-3", {})))).toHaveLength(8);

  expect(builder.learn(model, first, [name("one"), name("nobody"), "BlackHoleCluster"])).toBe(true);
  expect(servicesIn(builder.viewOf(model, second))).toEqual([...always, "one"].sort());
  expect(builder.learn(model, second, [name("one")])).toBe(false);
  builder.learn(model, second, [name("left")]);
  expect(servicesIn(builder.viewOf(model, first))).toEqual([...always, "left", "one", "right"].sort());
  expect(builder.viewOf(model, first).resources.route).toEqual(
    builder.viewOf(model, sidecar("caller-4", {})).resources.route,
  );
});

test("what happens to a Service that was not called is nothing to it", () => {
  const { modelOf, builder } = mesh();
  const proxy = sidecar("caller-1");
  const before = builder.viewOf(modelOf(objects), proxy);
  const moved = modelOf([...objects.slice(0, -1), slice("stock", "one", "10.1.0.2")]);
  expect(builder.viewOf(moved, proxy)).toBe(before);
  builder.learn(moved, proxy, [name("one")]);
  const learned = builder.viewOf(moved, proxy);
  expect(learned).not.toBe(before);
  const back = builder.viewOf(modelOf(objects), proxy);
  expect(back.resources.endpoint[0]?.changedSince(learned.resources.endpoint[0] ?? noResources)).toEqual([
    name("one"),
  ]);
});

test("the versions behind a shield are there before the first call: a composite cluster waits for nobody", () => {
  const { modelOf, builder } = mesh();
  const hosts = { primaryHost: "left.stock.svc.cluster.local", canaryHost: "right.stock.svc.cluster.local" };
  const canary = { namespace: "stock", name: "two", uid: "u" };
  const mark = { canary, run: "1", revision: "r", ...hosts, shield: { methods: ["GET"], hangAfter: 300 } };
  const marked = (text: string) =>
    objects.map((object) =>
      object.kind === "VirtualService"
        ? { ...object, metadata: { ...object.metadata, annotations: { "fairlead.dev/run": text } } }
        : object,
    );
  const always = ["cache", "caller", "copy", "long"];
  const first = sidecar("caller-1");
  const without = JSON.stringify({ ...mark, shield: undefined });
  expect(servicesIn(builder.viewOf(modelOf(marked(without)), first))).toEqual(always);
  const view = builder.viewOf(modelOf(marked(JSON.stringify(mark))), first);
  expect(servicesIn(view)).toEqual([...always, "left", "right"].sort());
  expect([...namesOf(view.resources.cluster)]).toContain(`shield|80||${hosts.canaryHost}`);
});
