import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse } from "yaml";
import { mountResolver } from "../lib/mounts.ts";
import type { Connection } from "./contract.ts";

/** What a kubeconfig holds, as far as it is read here. @see clientcmd.api.v1.Config */
interface Config {
  readonly "current-context"?: string;
  readonly clusters?: readonly { readonly name: string; readonly cluster: Cluster }[];
  readonly users?: readonly { readonly name: string; readonly user: User }[];
  readonly contexts?: readonly { readonly name: string; readonly context: Context }[];
}

interface Cluster {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "tls-server-name"?: string;
}

interface User {
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly [other: string]: unknown;
}

interface Context {
  readonly cluster: string;
  readonly user?: string;
  readonly namespace?: string;
}

/** Thrown where no API server can be named. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
}

export interface KubeconfigOptions {
  /** Path, or several joined as in `$KUBECONFIG`. Default: `$KUBECONFIG`, then `~/.kube/config`, then the pod's own account. */
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/**
 * Finds out how to reach the API server.
 *
 * Certificates and tokens are read here. Whatever needs more (exec plugins, auth providers) is left to
 * @kubernetes/client-node, which is loaded only then: it costs 0.7 s and 90 MB.
 *
 * @throws KubeconfigError no kubeconfig, no such context, or a part of it missing
 */
export async function loadConnection({ kubeconfig, context }: KubeconfigOptions = {}): Promise<Connection> {
  const paths = kubeconfigPaths(kubeconfig);
  if (paths.length === 0) return inCluster();
  const files = paths.map((path) => readConfig(path));
  const name = context ?? files.map((file) => file["current-context"]).find((current) => current);
  if (!name)
    throw new KubeconfigError(`no context is chosen in ${paths.join(", ")}: name one with --context`);
  const chosen = find(files, "contexts", name)?.context;
  if (chosen === undefined)
    throw new KubeconfigError(`there is no context \`${name}\` in ${paths.join(", ")}`);
  const cluster = find(files, "clusters", chosen.cluster)?.cluster;
  if (cluster?.server === undefined)
    throw new KubeconfigError(
      `context \`${name}\` names the cluster \`${chosen.cluster}\`, which has no server`,
    );
  const user = find(files, "users", chosen.user ?? "")?.user ?? {};
  const namespace = chosen.namespace === undefined ? {} : { namespace: chosen.namespace };
  if (needsPlugin(user)) {
    const { loadWithPlugin } = await import("./kubeconfig-plugin.ts");
    return { ...(await loadWithPlugin(paths, name)), ...namespace };
  }
  return { ...readCluster(cluster.server, cluster), ...readUser(user), ...namespace };
}

/** The kubeconfig files that count, in order. Given ones must exist; of `$KUBECONFIG` those that do. */
function kubeconfigPaths(given: string | undefined): readonly string[] {
  const paths = (text: string) => text.split(delimiter).filter((path) => path !== "");
  if (given) return paths(given).map((path) => resolve(path));
  const environment = process.env.KUBECONFIG;
  if (environment) {
    const existing = paths(environment).filter((path) => existsSync(path));
    if (existing.length > 0) return existing.map((path) => resolve(path));
    throw new KubeconfigError(`$KUBECONFIG names ${environment}, which does not exist`);
  }
  const usual = join(homedir(), ".kube", "config");
  return existsSync(usual) ? [usual] : [];
}

/** With relative paths made absolute, since they count from the file that holds them. */
function readConfig(path: string): Config {
  let config: Config;
  try {
    config = (parse(readFileSync(path, "utf8")) ?? {}) as Config;
  } catch (cause) {
    throw new KubeconfigError(`cannot read the kubeconfig ${path}: ${faultOf(cause)}`, { cause });
  }
  const absolute = <T extends object>(part: T): T => {
    const paths = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];
    const fixed = Object.entries(part).map(([field, value]) => [
      field,
      paths.includes(field) && typeof value === "string" && value !== ""
        ? resolve(dirname(path), value)
        : (value as unknown),
    ]);
    return Object.fromEntries(fixed) as T;
  };
  return {
    ...config,
    clusters: (config.clusters ?? []).map(({ name, cluster }) => ({
      name,
      cluster: absolute(cluster ?? {}),
    })),
    users: (config.users ?? []).map(({ name, user }) => ({ name, user: absolute(user ?? {}) })),
  };
}

/** Of entries of one name the first file's counts, as in client-go. */
function find<Part extends "clusters" | "users" | "contexts">(
  files: readonly Config[],
  part: Part,
  name: string,
) {
  type Entry = NonNullable<Config[Part]>[number];
  const entries = files.flatMap((file) => (file[part] ?? []) as readonly Entry[]);
  return entries.find((entry) => entry.name === name);
}

function needsPlugin(user: User): boolean {
  return ["exec", "auth-provider", "username", "as"].some((field) => user[field] !== undefined);
}

function readCluster(server: string, cluster: Cluster): Connection {
  const ca = pem(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const serverName = cluster["tls-server-name"];
  return {
    url: server,
    ...(ca !== undefined && { ca }),
    ...(serverName !== undefined && { serverName }),
    ...(cluster["insecure-skip-tls-verify"] === true && { insecureSkipTlsVerify: true }),
  };
}

function readUser(user: User): Partial<Connection> {
  const certificate = pem(user["client-certificate-data"], user["client-certificate"]);
  const key = pem(user["client-key-data"], user["client-key"]);
  const { tokenFile } = user;
  const token =
    user.token ?? (tokenFile === undefined ? undefined : () => readFileSync(tokenFile, "utf8").trim());
  return {
    ...(certificate !== undefined && { certificate }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token }),
  };
}

function pem(data: string | undefined, path: string | undefined): string | undefined {
  if (data) return Buffer.from(data, "base64").toString("utf8");
  return path ? readFileSync(path, "utf8") : undefined;
}

const accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The pod's own service account; its token is read at each request, as the kubelet renews it in place. */
function inCluster(): Connection {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = process.env;
  const accountPath = mountResolver(process.env.FAIRLEAD_MOUNTS)(accountFolder);
  if (!host || !existsSync(join(accountPath, "token"))) {
    throw new KubeconfigError(
      "no kubeconfig found: set $KUBECONFIG or --kubeconfig, or start a local one with `fairlead up`",
    );
  }
  return {
    url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ca: readFileSync(join(accountPath, "ca.crt"), "utf8"),
    token: () => readFileSync(join(accountPath, "token"), "utf8").trim(),
    namespace: readFileSync(join(accountPath, "namespace"), "utf8").trim(),
  };
}

function faultOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const missing = "code" in cause && cause.code === "ENOENT";
  return missing ? "there is no such file" : firstLine(cause.message);
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}
