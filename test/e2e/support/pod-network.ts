/** Pods in network namespaces as their programs see them, and the machine around them. */
import { execFile, execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  ConfigMapKind,
  DeploymentKind,
  NamespaceKind,
  PodKind,
  ServiceAccountKind,
  ServiceKind,
} from "../../../api/core.ts";
import {
  AuthorizationPolicyKind,
  CanaryKind,
  DestinationRuleKind,
  PeerAuthenticationKind,
  RequestAuthenticationKind,
  VirtualServiceKind,
} from "../../../api/kinds.ts";
import type { Kind, UnreadObject } from "../../../api/resource.ts";
import type { Client } from "../../../kube/contract.ts";
import { namespacesProblem } from "../../../local/node/network/available.ts";
import { until } from "../../../local/testing/until.ts";
import { envoyMissing } from "../../support/envoy.ts";

const echo = join(import.meta.dirname, "echo.ts");

/** Why tests of a mesh with network namespaces are skipped; undefined where they can run. */
export const why = envoyMissing ?? (await namespacesProblem());

/** What an echo server answered to an HTTP request. */
export interface Seen {
  readonly pod: string;
  readonly peer: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

interface PodOptions {
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly httpPorts?: readonly number[];
  readonly tcpPorts?: readonly number[];
}

/** A pod with a service account of its own; it sleeps unless it has ports or a command. */
export function pod(namespace: string, name: string, options: PodOptions = {}): UnreadObject[] {
  const {
    labels = {},
    annotations = {},
    httpPorts = [],
    tcpPorts = [],
    command = ["sleep", "infinity"],
  } = options;
  const serves = httpPorts.length + tcpPorts.length > 0;
  const port = (prefix: string) => (number: number) => ({
    name: `${prefix}-${number}`,
    containerPort: number,
  });
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels: { app: name, ...labels }, annotations },
      spec: {
        serviceAccountName: name,
        restartPolicy: options.command === undefined ? "Always" : "Never",
        terminationGracePeriodSeconds: 3,
        containers: [
          {
            name: "main",
            image: "process://main",
            command: serves ? [process.execPath, echo] : command,
            env: [
              { name: "HTTP_PORTS", value: httpPorts.join(",") },
              { name: "TCP_PORTS", value: tcpPorts.join(",") },
            ],
            ports: [...httpPorts.map(port("http")), ...tcpPorts.map(port("tcp"))],
            ...(httpPorts[0] === undefined
              ? {}
              : { readinessProbe: { httpGet: { path: "/", port: httpPorts[0] }, periodSeconds: 1 } }),
          },
        ],
      },
    },
  ];
}

/** A Service for the pods with a label `app`. */
export function service(
  namespace: string,
  name: string,
  ports: Readonly<Record<string, readonly [number, number]>>,
): UnreadObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: {
      selector: { app: name },
      ports: Object.entries(ports).map(([port, [number, targetPort]]) => ({
        name: port,
        port: number,
        targetPort,
      })),
    },
  };
}

/** A namespace. */
export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): UnreadObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
}

/** The same Service with an address of the test's choice. */
export function withIp(object: UnreadObject, clusterIP: string): UnreadObject {
  return { ...object, spec: { ...(object.spec as object), clusterIP } };
}

/** Process that holds the namespaces of a pod, by what the runner keeps on disk in `state`. */
export function sandboxOf(state: string, namespace: string, name: string): number {
  for (const folder of readdirSync(join(state, "pods"))) {
    const path = join(state, "pods", folder);
    try {
      const entry = JSON.parse(readFileSync(join(path, "pod.json"), "utf8")) as {
        name: string;
        namespace: string;
      };
      if (entry.name !== name || entry.namespace !== namespace) continue;
      return Number.parseInt(readFileSync(join(path, "containers", ".sandbox", "0", "process"), "utf8"), 10);
    } catch {
      // Not a pod's folder, or one that is going.
    }
  }
  throw new Error(`no sandbox of pod ${namespace}/${name} in ${state}`);
}

/** Process that holds the namespace between the machine and its pods. */
export function nodeHolder(state: string): number {
  return Number.parseInt(readFileSync(join(state, "network", "node", "0", "process"), "utf8"), 10);
}

/** What a shell script says in the namespaces of `holder`; its last words where it fails. Runs for 15 s at most. */
export function inside(
  holder: number,
  script: string,
  user?: { readonly uid?: number; readonly gid?: number },
): Promise<string> {
  const identity = user === undefined ? [] : ["setpriv", ...identityOf(user), "--"];
  const args = ["-t", String(holder), "-n", "-m", "-u", "--", ...identity, "bash", "-c", script];
  return new Promise((resolve) => {
    execFile("nsenter", args, { timeout: 15_000, maxBuffer: 1 << 24 }, (error, out, err) =>
      resolve(error === null ? out.trim() : `failed: ${err.trim().split("\n").at(-1) || error.message}`),
    );
  });
}

function identityOf({ uid, gid }: { readonly uid?: number; readonly gid?: number }): string[] {
  return [
    ...(uid === undefined ? [] : [`--reuid=${uid}`]),
    ...(gid === undefined ? [] : [`--regid=${gid}`]),
    "--clear-groups",
  ];
}

/** Names of this machine's interfaces. */
export function interfaces(): string[] {
  const list = JSON.parse(execFileSync("ip", ["-j", "link"], { encoding: "utf8" })) as { ifname: string }[];
  return list.map(({ ifname }) => ifname);
}

const kinds: readonly Kind[] = [
  NamespaceKind,
  ServiceAccountKind,
  ServiceKind,
  PodKind,
  DeploymentKind,
  ConfigMapKind,
  CanaryKind,
  PeerAuthenticationKind,
  RequestAuthenticationKind,
  AuthorizationPolicyKind,
  VirtualServiceKind,
  DestinationRuleKind,
];

/** Creates objects, or brings them up to date. */
export async function applyAll(client: Client, objects: readonly UnreadObject[]): Promise<void> {
  for (const object of objects) {
    const kind = kinds.find((candidate) => candidate.kind === object.kind);
    if (kind === undefined) throw new Error(`these tests apply no ${object.kind}`);
    const { name, namespace } = object.metadata;
    await client.patch(kind, namespace, name, { kind: "apply", body: object, force: true });
  }
}

/** Waits until all pods of a namespace are ready. */
export async function untilReady(client: Client, namespace: string, timeout = 60_000): Promise<void> {
  await until(
    `the pods of ${namespace} are ready`,
    async () => {
      const { items } = await client.list(PodKind, { namespace });
      return items.every(
        ({ status }) =>
          status?.phase === "Succeeded" ||
          status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
      );
    },
    timeout,
  );
}

export const curl = "curl -sS -m 5";

/** Script of a raw connection: who answers, and what it says back. */
export function rawCall(host: string, port: number): string {
  return `exec 3<>/dev/tcp/${host}/${port} && echo ping >&3 && read -t 5 -r first <&3 && read -t 5 -r back <&3 && echo "$first $back"`;
}

/** What is asked from inside the pods of a control plane that keeps its state in `state`. */
export function insidePods(state: string) {
  const shell = (of: string, name: string, script: string) => inside(sandboxOf(state, of, name), script);
  return {
    shell,
    seenBy: async (of: string, name: string, url: string): Promise<Seen> => {
      const said = await shell(of, name, `${curl} ${url}`);
      if (!said.startsWith("{")) throw new Error(`${name} asked ${url}: ${said}`);
      return JSON.parse(said) as Seen;
    },
    ipOf: async (of: string, name: string) => (await shell(of, name, "hostname -I")).trim(),
  };
}

export type InsidePods = ReturnType<typeof insidePods>;

/** Name of the machine's link to a control plane's pods. @param url of its API server */
export function uplinkOf(url: string): string {
  return `fairlead${new URL(url).hostname.split(".")[1]}`;
}
