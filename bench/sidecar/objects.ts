/** What runs on the control plane: a server and a caller, each with its sidecar. */
import { join } from "node:path";
import type { UnreadObject } from "../../api/resource.ts";

export const namespace = "bench";
export const port = 8080;

const meta = (name: string) => ({ name, namespace });

function deployment(name: string, command: readonly string[]): UnreadObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(name),
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          containers: [
            {
              name,
              image: `process://${name}:1`,
              command,
              env: [{ name: "PORT", value: String(port) }],
              ports: name === "server" ? [{ name: "http", containerPort: port }] : [],
            },
          ],
        },
      },
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
    apiVersion: "v1",
    kind: "Service",
    metadata: meta("server"),
    spec: { selector: { app: "server" }, ports: [{ name: "http", port: 80, targetPort: port }] },
  },
  {
    apiVersion: "security.istio.io/v1",
    kind: "PeerAuthentication",
    metadata: meta("strict"),
    spec: { mtls: { mode: "STRICT" } },
  },
  deployment("server", [process.execPath, join(import.meta.dirname, "server.ts")]),
  deployment("caller", ["sleep", "100000"]),
];
