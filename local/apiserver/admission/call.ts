import { Agent, request } from "node:https";
import { isIP } from "node:net";
import type { ResolveService } from "../context.ts";
import { type JsonObject, numberAt, objectAt, textAt } from "../json.ts";

const answerLimit = 8_388_608;
// One pool for all webhooks; an idle connection is closed after 30 s.
const agent = new Agent({ keepAlive: true, maxSockets: 32, timeout: 30_000 });

interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  /** The name that the certificate must carry. */
  readonly serverName: string;
}

/**
 * Posts an AdmissionReview to the webhook that `clientConfig` names (`url`, or `service` through
 * `resolveService`), trusting its `caBundle` only, and reads the answer.
 *
 * @param timeout milliseconds for the whole call
 * @throws one line that says what went wrong
 */
export function callWebhook(
  clientConfig: JsonObject,
  review: object,
  timeout: number,
  resolveService: ResolveService | undefined,
): Promise<unknown> {
  const { host, port, path, serverName } = endpointOf(clientConfig, resolveService);
  const body = JSON.stringify(review);
  const bundle = textAt(clientConfig, "caBundle");
  return new Promise((resolve, reject) => {
    const call = request(
      {
        agent,
        host,
        port,
        path,
        method: "POST",
        // TLS names no IP addresses: the certificate is then checked against the host.
        ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
        ...(bundle === undefined || bundle === "" ? {} : { ca: Buffer.from(bundle, "base64") }),
        headers: {
          host: serverName,
          "content-type": "application/json",
          accept: "application/json",
          "content-length": Buffer.byteLength(body),
        },
        signal: AbortSignal.timeout(timeout),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > answerLimit) call.destroy(new Error(`the answer is larger than ${answerLimit} bytes`));
          else chunks.push(chunk);
        });
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode !== 200)
            return reject(new Error(`the server answered ${response.statusCode}`));
          try {
            resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")));
          } catch {
            reject(new Error("the answer is not json"));
          }
        });
      },
    );
    call.on("error", (error) =>
      reject(
        error.name === "TimeoutError" || error.name === "AbortError"
          ? new Error(`Post "https://${serverName}${path}": context deadline exceeded`)
          : new Error(`Post "https://${serverName}${path}": ${error.message}`),
      ),
    );
    call.end(body);
  });
}

function endpointOf(clientConfig: JsonObject, resolveService: ResolveService | undefined): Endpoint {
  const url = textAt(clientConfig, "url");
  if (url !== undefined) {
    const { hostname, port, pathname, search, protocol } = new URL(url);
    if (protocol !== "https:") throw new Error(`webhook url ${url} must start with https://`);
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    return { host, port: Number(port || 443), path: `${pathname}${search}`, serverName: host };
  }
  const service = objectAt(clientConfig, "service");
  const name = textAt(service, "name") ?? "";
  const namespace = textAt(service, "namespace") ?? "";
  const address = resolveService?.({ name, namespace, port: numberAt(service, "port") ?? 443 });
  if (address === undefined) throw new Error(`no endpoints available for service ${JSON.stringify(name)}`);
  return { ...address, path: textAt(service, "path") ?? "/", serverName: `${name}.${namespace}.svc` };
}
