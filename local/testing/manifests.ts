import type { Deployment, Pod } from "../../api/core.ts";
import type { Container, PodSpec } from "../node/container.ts";

/** An HTTP server that answers its version, in one line of Node. */
export function webServer(version: string): Container {
  const program = `require("http").createServer((q, s) => s.end("${version}")).listen(8080, process.env.HOST)`;
  return {
    name: "web",
    image: "web",
    command: ["node", "-e", program],
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 1 },
  };
}

/** A Deployment of one container, labelled `app: NAME`. */
export function deployment(name: string, container: Container, replicas = 2): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { namespace: "default", name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { terminationGracePeriodSeconds: 5, containers: [container] },
      },
    },
  };
}

/** A pod; a script is run by `sh -c`. */
export function pod(name: string, spec: PodSpec | string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { namespace: "default", name, labels: { app: name } },
    spec:
      typeof spec === "string"
        ? { containers: [{ name: "main", image: "sh", command: ["sh", "-c", spec] }] }
        : spec,
  };
}
