import type { RequestOptions } from "node:https";
import { KubeConfig } from "@kubernetes/client-node";
import type { Connection } from "./contract.ts";
import { KubeconfigError } from "./kubeconfig.ts";

/**
 * Reads kubeconfigs whose credentials come from elsewhere: exec plugins and auth providers.
 *
 * The token is asked for at each request; client-node keeps a plugin's answer until it expires.
 *
 * @throws KubeconfigError for credentials that the connection cannot carry
 */
export async function loadWithPlugin(paths: readonly string[], context: string): Promise<Connection> {
  const config = new KubeConfig();
  for (const [index, path] of paths.entries()) {
    const file = new KubeConfig();
    file.loadFromFile(path);
    if (index === 0) config.loadFromString(file.exportConfig());
    else config.mergeConfig(file, true);
  }
  config.setCurrentContext(context);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new KubeconfigError(`context \`${context}\` names no cluster`);
  const options = await credentials(config, context);
  return {
    url: cluster.server,
    ...(options.ca && { ca: text(options.ca) }),
    ...(options.cert && { certificate: text(options.cert) }),
    ...(options.key && { key: text(options.key) }),
    ...(cluster.tlsServerName !== undefined && { serverName: cluster.tlsServerName }),
    ...(cluster.skipTLSVerify && { insecureSkipTlsVerify: true }),
    ...(bearer(options) !== undefined && {
      token: async () => bearer(await credentials(config, context)) ?? "",
    }),
  };
}

async function credentials(config: KubeConfig, context: string): Promise<RequestOptions> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.trim() : String(cause);
    throw new KubeconfigError(`the credential plugin of context \`${context}\` failed: ${why}`, { cause });
  }
  if (options.auth)
    throw new KubeconfigError(
      `context \`${context}\` logs in by password, which Kubernetes has removed: use a token or a certificate`,
    );
  if (config.getCurrentUser()?.impersonateUser)
    throw new KubeconfigError(
      `context \`${context}\` acts as another user (\`as\`), which fairlead does not support`,
    );
  return options;
}

function bearer({ headers }: RequestOptions): string | undefined {
  const value = headers !== undefined && "Authorization" in headers ? headers.Authorization : undefined;
  return typeof value === "string" ? value.replace(/^Bearer /, "") : undefined;
}

function text(part: unknown): string {
  if (typeof part === "string") return part;
  return Buffer.isBuffer(part) ? part.toString("utf8") : "";
}
