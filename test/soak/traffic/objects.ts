/** The objects of the soak: a service in two versions behind a VirtualService and a DestinationRule, and a caller. */
import { join } from "node:path";
import type { UnreadObject } from "../../../api/resource.ts";
import { subsetRule } from "../../support/subset-rule.ts";

export const namespace = "soak";
const meta = (name: string) => ({ name, namespace });
const istio = "networking.istio.io/v1";

export function version(name: string, replicas: number): UnreadObject {
  const labels = { app: "shop", version: name };
  const container = {
    name: "shop",
    image: `process://shop:${name}`,
    command: [process.execPath, join(import.meta.dirname, "app.ts")],
    env: [{ name: "VERSION", value: name }],
    ports: [8080, 8081, 9000].map((containerPort) => ({ containerPort })),
    readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(`shop-${name}`),
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}

/** Weights in percent of the second version. */
export function route(second: number): UnreadObject {
  const to = (subset: string, weight: number) => ({ destination: { host: "shop", subset }, weight });
  return {
    apiVersion: istio,
    kind: "VirtualService",
    metadata: meta("shop"),
    spec: { hosts: ["shop"], http: [{ route: [to("v1", 100 - second), to("v2", second)] }] },
  };
}

/** A route that sidecars answer themselves, with a number: who is told it follows the control plane. */
export function marker(number: number): UnreadObject {
  const directResponse = { status: 200, body: { string: String(number) } };
  return {
    apiVersion: istio,
    kind: "VirtualService",
    metadata: meta("marker"),
    spec: { hosts: ["marker.soak"], http: [{ directResponse }] },
  };
}

/** @param turn every other one has a subset more and another way of balancing */
export function rule(turn: number): UnreadObject {
  return subsetRule(namespace, turn, turn % 2 !== 0);
}

export const objects: readonly UnreadObject[] = [
  {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: { "istio-injection": "enabled" } },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta("shop"),
    spec: {
      selector: { app: "shop" },
      ports: [
        { name: "http", port: 80, targetPort: 8080 },
        { name: "grpc", port: 81, targetPort: 8081 },
        { name: "tcp", port: 9000, targetPort: 9000 },
      ],
    },
  },
  rule(0),
  route(0),
  marker(0),
  version("v1", 2),
  version("v2", 2),
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta("caller"),
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "caller" } },
      template: {
        metadata: { labels: { app: "caller" } },
        spec: { containers: [{ name: "idle", image: "process://idle:1", command: ["sleep", "100000"] }] },
      },
    },
  },
];
