/** Two versions of a shop, three pods each, behind two routes of equal weights, one with a shield; and its callers. */
import { join } from "node:path";
import { type RunMark, runAnnotation } from "../../api/annotations.ts";
import type { UnreadObject } from "../../api/resource.ts";

export const namespace = "shield";
/** Pods of each version. */
export const replicas = 3;
/** Milliseconds: more than a busy machine makes the primary take, whose attempt it binds too. */
export const hangAfter = 1000;
/** Worker threads of the callers' Envoys. */
export const workers = [1, 2] as const;
/** The hosts that callers ask: the first without a shield. */
export const hosts = { plain: "plain", shielded: "shop" } as const;
export type RouteName = keyof typeof hosts;

const meta = (name: string) => ({ name, namespace });
const hostOf = (service: string) => `${service}.${namespace}.svc.cluster.local`;
export const canaryHost = hostOf("shop-canary");
/** Runtime key of the shielded share, and what the keys of a canary's weights begin with. */
export const keyPrefix = (route: RouteName) => `fl.w.${namespace}.${hosts[route]}`;

function version(name: string): UnreadObject {
  const labels = { app: name };
  const container = {
    name: "shop",
    image: `process://${name}:1`,
    command: [process.execPath, join(import.meta.dirname, "shop-process.ts")],
    env: [{ name: "VERSION", value: name }],
    ports: [8080, 8081].map((containerPort) => ({ containerPort })),
    readinessProbe: { httpGet: { path: "/ready", port: 8090 }, periodSeconds: 1, failureThreshold: 1 },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(name),
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [container] } },
    },
  };
}

function service(name: string): UnreadObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: meta(name),
    spec: {
      selector: { app: name },
      ports: [
        { name: "http", port: 80, targetPort: 8080 },
        { name: "http2", port: 81, targetPort: 8081 },
      ],
    },
  };
}

function caller(concurrency: number): UnreadObject {
  const labels = { app: `caller-${concurrency}` };
  const annotations = { "proxy.istio.io/config": `concurrency: ${concurrency}` };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(labels.app),
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels, annotations },
        spec: { containers: [{ name: "idle", image: "process://idle:1", command: ["sleep", "100000"] }] },
      },
    },
  };
}

/** The weights as a Canary's controller writes them. @param weight percent of the canary */
export function route(name: RouteName, weight: number): UnreadObject {
  const mark: RunMark = {
    canary: { namespace, name: hosts[name], uid: `uid-${name}` },
    run: `run-${name}`,
    revision: "1",
    primaryHost: hostOf("shop-primary"),
    canaryHost,
    ...(name === "shielded" && { shield: { methods: ["GET", "HEAD", "OPTIONS"], hangAfter } }),
  };
  const to = (host: string, share: number) => ({ destination: { host }, weight: share });
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { ...meta(hosts[name]), annotations: { [runAnnotation]: JSON.stringify(mark) } },
    spec: {
      hosts: [hosts[name]],
      http: [{ timeout: "10s", route: [to("shop-primary", 100 - weight), to("shop-canary", weight)] }],
    },
  };
}

export const objects: readonly UnreadObject[] = [
  {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: { "istio-injection": "enabled" } },
  },
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: meta("strict"),
    spec: { mtls: { mode: "STRICT" } },
  },
  ...["shop-primary", "shop-canary", ...Object.values(hosts)].map(service),
  version("shop-primary"),
  version("shop-canary"),
  route("plain", 0),
  route("shielded", 0),
  ...workers.map(caller),
];
