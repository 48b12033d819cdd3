/** What the benchmark writes: the kinds that a release touches, each of a usual size. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

/** One resource, and how an object of it looks. */
export interface Subject {
  /** Path of its collection in `namespace`. */
  readonly path: (namespace: string) => string;
  readonly create: (name: string) => object;
  /** A JSON merge patch that changes one value and leaves the size as it is. */
  readonly patch: (count: number) => object;
}

const filler = "a line of some application's configuration, as people write it\n".repeat(16);

const configMaps: Subject = {
  path: (namespace) => `/api/v1/namespaces/${namespace}/configmaps`,
  create: (name) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name, labels: { app: "bench" } },
    data: { "app.conf": filler, count: "0" },
  }),
  patch: (count) => ({ data: { count: String(count) } }),
};

const deployments: Subject = {
  path: (namespace) => `/apis/apps/v1/namespaces/${namespace}/deployments`,
  create: (name) => ({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, labels: { app: name } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, version: "v1" }, annotations: { "prometheus.io/scrape": "true" } },
        spec: {
          containers: [
            {
              name: "app",
              image: "example/shop:1.4.2",
              ports: [{ name: "http", containerPort: 8080 }],
              env: [
                { name: "LOG_LEVEL", value: "info" },
                { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              ],
              resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "256Mi" } },
              readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 5 },
              volumeMounts: [{ name: "config", mountPath: "/etc/app" }],
            },
          ],
          volumes: [{ name: "config", configMap: { name: "app" } }],
        },
      },
    },
  }),
  patch: (count) => ({ metadata: { annotations: { "bench/count": String(count) } } }),
};

const virtualServices: Subject = {
  path: (namespace) => `/apis/networking.istio.io/v1/namespaces/${namespace}/virtualservices`,
  create: (name) => ({
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name },
    spec: {
      hosts: [name],
      http: [
        {
          name: "all",
          timeout: "5s",
          retries: { attempts: 2, perTryTimeout: "1s", retryOn: "5xx" },
          route: [
            { destination: { host: `${name}-primary` }, weight: 100 },
            { destination: { host: `${name}-canary` }, weight: 0 },
          ],
        },
      ],
    },
  }),
  patch: (count) => ({ metadata: { annotations: { "bench/count": String(count) } } }),
};

/** In turn, one request each. */
export const subjects: readonly Subject[] = [configMaps, deployments, virtualServices];

/** The subject whose changes are watched. */
export const watched = deployments;

/** The CustomResourceDefinition that the third subject needs. */
export function definition(): object {
  const file = join(import.meta.dirname, "../../charts/fairlead-crds/templates/virtualservices.yaml");
  return parse(readFileSync(file, "utf8")) as object;
}
