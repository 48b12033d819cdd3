/** A server for this folder's own tests, with a small client. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, request } from "undici";
import { silent } from "../../lib/log.ts";
import { isObject, type JsonObject } from "./json.ts";
import { type Kubernetes, type KubernetesOptions, serveKubernetes } from "./serve.ts";

export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Ask {
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Buffer;
  readonly contentType?: string;
  readonly accept?: string;
  readonly token?: string;
  /** Without the client certificate. */
  readonly anonymous?: boolean;
}

export type Call = (method: string, path: string, ask?: Ask) => Promise<Answer>;

export interface TestServer {
  readonly server: Kubernetes;
  readonly dataDir: string;
  readonly call: Call;
  /** Opens a watch: its events, until `stop`. */
  watch(path: string, signal: AbortSignal): AsyncGenerator<{ type: string; object: JsonObject }>;
  close(): Promise<void>;
}

/** Starts a server on a free port in a folder of its own. */
export async function startTestServer(options: Partial<KubernetesOptions> = {}): Promise<TestServer> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "fairlead-apiserver-")));
  const server = await serveKubernetes({ host: "127.0.0.1", port: 0, logger: silent, ...options, dataDir });
  const admin = new Agent({
    connect: { ca: server.ca, cert: server.admin.certificate, key: server.admin.key },
  });
  const plain = new Agent({ connect: { ca: server.ca } });
  const call: Call = async (method, path, ask = {}) => {
    const {
      body,
      raw,
      contentType = "application/json",
      accept = "application/json",
      token,
      anonymous,
    } = ask;
    const response = await request(`${server.url}${path}`, {
      method,
      dispatcher: anonymous === true || token !== undefined ? plain : admin,
      headers: {
        accept,
        ...(body === undefined && raw === undefined ? {} : { "content-type": contentType }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: raw ?? (body === undefined ? null : JSON.stringify(body)),
    });
    const text = await response.body.text();
    return { status: response.statusCode, body: parse(text), text, headers: response.headers };
  };
  async function* watch(path: string, signal: AbortSignal) {
    const response = await request(`${server.url}${path}`, {
      dispatcher: admin,
      signal,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    let rest = "";
    try {
      for await (const chunk of response.body) {
        rest += String(chunk);
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const event = parse(line);
          yield { type: String(event.type), object: isObject(event.object) ? event.object : {} };
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
  return {
    server,
    dataDir,
    call,
    watch,
    async close() {
      await server.close();
      await admin.close();
      await plain.close();
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function parse(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** Where the tests' ConfigMaps are. */
export const maps = "/api/v1/namespaces/default/configmaps";
/** Where their Deployments are. */
export const deployments = "/apis/apps/v1/namespaces/default/deployments";

/** A deployment for tests. */
export function deployment(name: string, fields: JsonObject = {}): JsonObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          containers: [
            {
              name: "app",
              image: "web:1",
              env: [
                { name: "A", value: "1" },
                { name: "B", value: "2" },
              ],
            },
          ],
        },
      },
      ...fields,
    },
  };
}

/** A ConfigMap for tests. */
export function configMap(
  name: string,
  data: Record<string, string> = {},
  labels: Record<string, string> = {},
): JsonObject {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels }, data };
}

/** A CRD `widgets.example.com` with status, scale, defaults and rules. */
export const widgetDefinition: JsonObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "widgets", kind: "Widget", shortNames: ["wd"] },
    versions: ["v1", "v1beta1"].map((name) => ({
      name,
      served: true,
      storage: name === "v1",
      subresources: {
        status: {},
        scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
      },
      additionalPrinterColumns: [
        { name: "Size", type: "integer", jsonPath: ".spec.size" },
        { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
      ],
      schema: {
        openAPIV3Schema: {
          type: "object",
          properties: {
            spec: {
              type: "object",
              required: ["size"],
              properties: {
                size: { type: "integer", minimum: 1, maximum: 10 },
                replicas: { type: "integer" },
                color: { type: "string", enum: ["red", "blue"], default: "red" },
                name: { type: "string", pattern: "^[a-z]+$" },
                port: { "x-kubernetes-int-or-string": true },
                free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                parts: {
                  type: "array",
                  "x-kubernetes-list-type": "map",
                  "x-kubernetes-list-map-keys": ["id"],
                  items: {
                    type: "object",
                    required: ["id"],
                    properties: { id: { type: "string" }, n: { type: "integer" } },
                  },
                },
              },
            },
            status: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
          },
        },
      },
    })),
  },
};

/** A widget for tests. */
export function widget(name: string, spec: JsonObject): JsonObject {
  return { apiVersion: "example.com/v1", kind: "Widget", metadata: { name }, spec };
}
