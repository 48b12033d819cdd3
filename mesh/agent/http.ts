/**
 * Node's HTTP modules, taken as built-ins: `import "node:http"` reads every export of it, among them those that load
 * undici, which costs each sidecar 15 MB.
 */
import type { IncomingMessage } from "node:http";

export const http = process.getBuiltinModule("node:http");
export const https = process.getBuiltinModule("node:https");
export const http2 = process.getBuiltinModule("node:http2");

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Request {
  readonly host: string;
  readonly port: number;
  /** Source of the connection. */
  readonly localAddress?: string | undefined;
  readonly path: string;
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds, for all of it. */
  readonly timeout?: number;
  /** HTTPS without verification, as the kubelet probes. */
  readonly insecureTls?: boolean;
}

const largestBody = 64 * 1024 * 1024;

/** One HTTP/1.1 request on its own connection. Rejects where no answer came in time. */
export function request({ timeout = 2_000, insecureTls = false, ...where }: Request): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { ...where, agent: false, signal: AbortSignal.timeout(timeout) };
    const take = (response: IncomingMessage) => readBody(response).then(resolve, reject);
    const sent = insecureTls
      ? https.request({ ...options, rejectUnauthorized: false }, take)
      : http.request(options, take);
    sent.on("error", reject);
    sent.end();
  });
}

async function readBody(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > largestBody) throw new Error(`the answer is longer than ${largestBody} bytes`);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") };
}
