/** The objects that the demo applies: what a user would write, and nothing that fairlead would not see from one. */
import { join } from "node:path";
import type { JWK } from "jose";
import type { UnreadObject } from "../../api/resource.ts";

export const namespace = "demo";
const programs = join(import.meta.dirname, "..", "..", "examples", "demo");

/** Path of a program of the demo, whichever form it has: source in the repository, JavaScript in the package. */
function program(name: string): string {
  return join(programs, `${name}${import.meta.filename.endsWith(".ts") ? ".ts" : ".js"}`);
}

const command = (name: string): string[] => [process.execPath, program(name)];
const env = (values: Record<string, string>) =>
  Object.entries(values).map(([name, value]) => ({ name, value }));
const meta = (name: string) => ({ name, namespace });

export function namespaceManifest(): UnreadObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace, labels: { "istio-injection": "enabled" } },
  };
}

export function serviceAccount(name: string): UnreadObject {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: meta(name) };
}

/** The Deployment of one version of the shop. `faultFile` gives that version its fault switch. */
export function shop(version: string, faultFile?: string): UnreadObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { ...meta("shop"), labels: { app: "shop" } },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "shop" } },
      template: {
        metadata: { labels: { app: "shop" } },
        spec: {
          serviceAccountName: "shop",
          terminationGracePeriodSeconds: 15,
          containers: [
            {
              name: "shop",
              image: `process://shop:${version}`,
              command: command("shop"),
              env: env({
                VERSION: version,
                PORT: "8080",
                ...(faultFile === undefined ? {} : { FAULT_FILE: faultFile }),
              }),
              ports: [{ name: "http", containerPort: 8080 }],
              readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

/** `shielded`: whose failed requests the primary answers. */
export function canary(shielded = false): UnreadObject {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: meta("shop"),
    spec: {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
      service: { port: 80, targetPort: 8080, portName: "http" },
      analysis: {
        interval: "2s",
        threshold: 5,
        maxWeight: 50,
        stepWeight: 10,
        ...(shielded && { shield: {} }),
        metrics: [
          { name: "request-success-rate", thresholdRange: { min: 99 }, interval: "10s" },
          { name: "request-duration", thresholdRange: { max: 500 }, interval: "10s" },
        ],
      },
    },
  };
}

/** Who may call: the load client and the web front end by their identity, the latter's orders only with a token. */
export function policies(issuer: string, key: JWK): UnreadObject[] {
  const principal = (account: string) => `cluster.local/ns/${namespace}/sa/${account}`;
  return [
    {
      apiVersion: "security.istio.io/v1",
      kind: "RequestAuthentication",
      metadata: meta("shop"),
      spec: {
        selector: { matchLabels: { app: "shop" } },
        jwtRules: [{ issuer, jwks: JSON.stringify({ keys: [key] }) }],
      },
    },
    {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: meta("shop"),
      spec: {
        selector: { matchLabels: { app: "shop" } },
        action: "ALLOW",
        rules: [
          {
            from: [{ source: { principals: [principal("load")] } }],
            to: [{ operation: { methods: ["GET"], paths: ["/"] } }],
          },
          {
            from: [{ source: { principals: [principal("web")], requestPrincipals: [`${issuer}/*`] } }],
            to: [{ operation: { methods: ["GET"], paths: ["/orders"] } }],
          },
        ],
      },
    },
  ];
}

/** A pod that sends one request as `account` and ends; its log is the status. */
export function caller(account: string, token?: string): UnreadObject {
  const values = { URL_TO_CALL: "http://shop/orders", ...(token === undefined ? {} : { TOKEN: token }) };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { ...meta(`call-${account}`), labels: { app: `call-${account}` } },
    spec: {
      serviceAccountName: account,
      restartPolicy: "Never",
      containers: [{ name: "call", image: "process://call", command: command("call"), env: env(values) }],
    },
  };
}

export function load(rate: number, record: string): UnreadObject {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { ...meta("load"), labels: { app: "load" } },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: "load" } },
      template: {
        metadata: { labels: { app: "load" } },
        spec: {
          serviceAccountName: "load",
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "load",
              image: "process://load",
              command: command("load"),
              env: env({ URL_TO_CALL: "http://shop/", RATE: String(rate), RECORD: record }),
            },
          ],
        },
      },
    },
  };
}
