import { networkInterfaces } from "node:os";
import { ApiError } from "../../kube/error.ts";
import { request } from "../../mesh/agent/http.ts";
import { debugAudience } from "../../mesh/debug/authorize.ts";
import type { Cluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";
import { ports } from "../rooms/ports.ts";

/** How a command reaches the mesh's debug pages. */
export interface MeshOptions {
  /** `http://HOST:PORT`; default: the monitoring port of a control plane on this machine. */
  readonly mesh?: string;
  /** `NAMESPACE/NAME` of the service account whose token is shown there. */
  readonly account: string;
}

/** Reads one debug page, e.g. `/debug/syncz?proxyID=demo/web-1`. */
export type ReadPage = <T>(path: string) => Promise<T>;

/** Milliseconds that a page may take: a thousand proxies are some megabytes. */
const timeout = 20_000;
/** Seconds that the token lives, Kubernetes' least. */
const lifetime = 600;

/**
 * Opens the debug pages: asks the API server for a token that is good for nothing else, and shows it to the mesh.
 *
 * @throws UsageError where the mesh is elsewhere and `--mesh` does not say where; Error that says what to do
 */
export async function openMeshPages({ client, url }: Cluster, options: MeshOptions): Promise<ReadPage> {
  const at = meshUrl(options.mesh, url);
  const token = await debugToken(client, options.account);
  return async <T>(path: string): Promise<T> => {
    const { status, body } = await request({
      host: at.hostname,
      port: Number(at.port || 80),
      path,
      headers: { authorization: `Bearer ${token}` },
      timeout,
    }).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`the mesh does not answer at ${at.origin} (${why}); ${howToReach}`, { cause: error });
    });
    if (status === 200) return JSON.parse(body) as T;
    throw new Error(body.trim() === "" ? `the mesh answered ${status} to ${path}` : body.trim());
  };
}

const howToReach = `in a cluster, forward its port (\`kubectl -n istio-system port-forward deploy/fairlead-mesh ${ports.monitoring}\`) and give \`--mesh http://127.0.0.1:${ports.monitoring}\``;

/** The token travels in the clear, so without being told to it never leaves this machine. */
function meshUrl(given: string | undefined, apiServer: string): URL {
  if (given !== undefined) {
    const parsed = URL.parse(given);
    if (parsed?.protocol !== "http:") throw new UsageError(`--mesh \`${given}\`: give \`http://HOST:PORT\``);
    return parsed;
  }
  const { hostname } = new URL(apiServer);
  if (!isOfThisMachine(hostname))
    throw new UsageError(
      `the API server is at ${hostname}, and where the mesh is nobody said: ${howToReach}`,
    );
  return new URL(`http://${hostname}:${ports.monitoring}`);
}

/** Whether an address is one of this machine's own. */
export function isOfThisMachine(host: string): boolean {
  if (host === "localhost" || host === "[::1]" || host.startsWith("127.")) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === host));
}

async function debugToken(client: Cluster["client"], account: string): Promise<string> {
  const [namespace, name, more] = account.split("/");
  if (!namespace || !name || more !== undefined)
    throw new UsageError(`--account \`${account}\`: give \`NAMESPACE/NAME\``);
  try {
    const answer = await client.request<{ readonly status?: { readonly token?: string } }>(
      "POST",
      `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
      {
        apiVersion: "authentication.k8s.io/v1",
        kind: "TokenRequest",
        spec: { audiences: [debugAudience], expirationSeconds: lifetime },
      },
    );
    return answer.status?.token ?? "";
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 403 && error.status !== 404)) throw error;
    const what =
      error.status === 404
        ? "is it installed? `fairlead up` and the Helm chart make it; `--account` names another"
        : "who looks into the mesh needs the right to `create` `serviceaccounts/token` there";
    throw new Error(`no token of service account ${account}: ${error.message}; ${what}`, { cause: error });
  }
}
