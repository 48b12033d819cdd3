import { Agent, type RequestOptions, request } from "node:https";
import { isIP } from "node:net";
import type { ResolveService } from "../context.ts";
import { type JsonObject, numberAt, objectAt, textAt } from "../json.ts";

const answerLimit = 8_388_608;
// One pool for all webhooks; an idle connection is closed after 30 s.
const agent = new Agent({ keepAlive: true, maxSockets: 32, timeout: 30_000 });

/** A port of a Service. */
export type NamedService = Parameters<ResolveService>[0];

/** Where a TCP connection goes. */
export type Address = NonNullable<ReturnType<ResolveService>>;

interface Endpoint {
  /** Where it is; of a Service, its name. */
  readonly address: NamedService | Address;
  readonly path: string;
  /** The name that the certificate must carry. */
  readonly serverName: string;
  /** Host and port as messages show them. */
  readonly named: string;
}

/**
 * Posts an AdmissionReview to the webhook that `clientConfig` names (`url`, or `service` through
 * `addressOf`, which throws where there is none), trusting its `caBundle` only, and reads the answer.
 *
 * @param timeout milliseconds for the whole call
 * @throws one line that says what went wrong, in the words of Kubernetes' client
 */
export async function callWebhook(
  clientConfig: JsonObject,
  review: object,
  timeout: number,
  addressOf: (service: NamedService) => Address,
): Promise<unknown> {
  const { address, path: file, serverName, named } = endpointOf(clientConfig);
  const path = `${file}?timeout=${Math.ceil(timeout / 1000)}s`;
  const post = `Post "https://${named}${path}"`;
  try {
    const reached = "host" in address ? address : addressOf(address);
    const bundle = textAt(clientConfig, "caBundle") ?? "";
    const { status, text } = await exchange(JSON.stringify(review), timeout, serverName, {
      ...reached,
      path,
      // TLS names no IP addresses: the certificate is then checked against the host.
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ...(bundle === "" ? {} : { ca: Buffer.from(bundle, "base64") }),
    });
    if (status !== 200) throw new UnwantedAnswer(statusWords(status, text));
    return readJson(text);
  } catch (error) {
    if (error instanceof UnwantedAnswer)
      throw new Error(`failed to call webhook: ${error.message}`, { cause: error });
    throw new Error(`failed to call webhook: ${post}: ${networkWords(error)}`, { cause: error });
  }
}

/** The webhook was reached, and answered with something else than a review. */
class UnwantedAnswer extends Error {}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnwantedAnswer("the answer is not json");
  }
}

function statusWords(status: number, text: string): string {
  if (status === 404) return "the server could not find the requested resource";
  const said = text.trim().slice(0, 2048);
  return status >= 500
    ? `an error on the server (${JSON.stringify(said)}) has prevented the request from succeeding`
    : `the server answered ${status}: ${said}`;
}

function networkWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError" || error.name === "AbortError") return "context deadline exceeded";
  if (!("code" in error)) return error.message;
  switch (error.code) {
    case "ECONNREFUSED":
      return `dial tcp ${"address" in error ? String(error.address) : ""}:${"port" in error ? String(error.port) : ""}: connect: connection refused`;
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    default:
      return error.message;
  }
}

function exchange(
  body: string,
  timeout: number,
  serverName: string,
  options: Omit<RequestOptions, "headers">,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...options,
        agent,
        method: "POST",
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
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}

function endpointOf(clientConfig: JsonObject): Endpoint {
  const url = textAt(clientConfig, "url");
  if (url !== undefined) {
    const { host, hostname, port, pathname } = new URL(url);
    const serverName = hostname.replace(/^\[(.*)\]$/, "$1");
    const address = { host: serverName, port: Number(port || 443) };
    return { address, path: pathname, serverName, named: host };
  }
  const service = objectAt(clientConfig, "service");
  const name = textAt(service, "name") ?? "";
  const namespace = textAt(service, "namespace") ?? "";
  const port = numberAt(service, "port") ?? 443;
  const serverName = `${name}.${namespace}.svc`;
  const path = textAt(service, "path") ?? "/";
  return { address: { name, namespace, port }, path, serverName, named: `${serverName}:${port}` };
}
