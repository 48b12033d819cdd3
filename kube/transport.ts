import { setTimeout as sleep } from "node:timers/promises";
import { Pool } from "undici";
import { createBackoff } from "./backoff.ts";
import type { Connection } from "./contract.ts";
import { ApiError, isUnreachable, readStatus } from "./error.ts";

/** Requests in flight at once; the rest wait their turn. Streams have connections of their own. */
const connections = 8;
const connectTimeout = 5_000;
/** Longer than the 10 s that admission webhooks may take, with room for several of them. */
const answerTimeout = 30_000;
/** How often a read is tried again after 429, 503 or a cut connection. */
const readRetries = 3;
/** The longest `Retry-After` that a read waits for, milliseconds; beyond it the caller decides. */
const maxRetryAfter = 10_000;

interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string | undefined;
  readonly accept?: string;
  readonly signal?: AbortSignal | undefined;
}

/** HTTP to one API server: pooled, authenticated, errors as `ApiError`. */
export interface Transport {
  /** The body of a 2xx answer. */
  text(request: HttpRequest): Promise<string>;
  /** The chunks of a 2xx answer that may never end. */
  stream(request: HttpRequest): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Opens the pools; connects at the first request. */
export function createTransport(connection: Connection): Transport {
  const url = new URL(connection.url);
  const prefix = url.pathname.replace(/\/+$/, "");
  const connect = {
    timeout: connectTimeout,
    rejectUnauthorized: connection.insecureSkipTlsVerify !== true,
    ...(connection.ca !== undefined && { ca: connection.ca }),
    ...(connection.certificate !== undefined && { cert: connection.certificate }),
    ...(connection.key !== undefined && { key: connection.key }),
    ...(connection.serverName !== undefined && { servername: connection.serverName }),
  };
  const shared = {
    connect,
    pipelining: 1,
    allowH2: false,
    headersTimeout: answerTimeout,
    keepAliveTimeout: 30_000,
  };
  const requests = new Pool(url.origin, { ...shared, connections, bodyTimeout: answerTimeout });
  const streams = new Pool(url.origin, { ...shared, bodyTimeout: 0 });

  async function send(pool: Pool, request: HttpRequest) {
    const {
      method,
      path,
      body,
      contentType = "application/json",
      accept = "application/json",
      signal,
    } = request;
    const token = typeof connection.token === "function" ? await connection.token() : connection.token;
    try {
      const answer = await pool.request({
        method: method as "GET",
        path: prefix + path,
        headers: {
          accept,
          "user-agent": connection.fieldManager ?? "fairlead",
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { "content-type": contentType }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // A deletion has a body: undici would trust the connection no more and open another, with its handshake.
        reset: false,
        ...(signal !== undefined && { signal }),
      });
      if (answer.statusCode < 300) return answer.body;
      throw readStatus(answer.statusCode, await answer.body.text(), header(answer.headers["retry-after"]));
    } catch (error) {
      throw asApiError(error, url, signal);
    }
  }

  /** A token function may hold an old token: the first 401 is asked again with a new one. */
  async function authenticated(pool: Pool, request: HttpRequest) {
    try {
      return await send(pool, request);
    } catch (error) {
      const renewable = typeof connection.token === "function";
      if (renewable && error instanceof ApiError && error.status === 401) return send(pool, request);
      throw error;
    }
  }

  async function readBody(request: HttpRequest): Promise<string> {
    const body = await authenticated(requests, request);
    try {
      return await body.text();
    } catch (error) {
      throw asApiError(error, url, request.signal);
    }
  }

  return {
    async text(request) {
      if (request.method !== "GET") return readBody(request);
      const backoff = createBackoff(100, 2_000);
      for (let attempt = 0; ; attempt++) {
        try {
          return await readBody(request);
        } catch (error) {
          const wait = retryDelay(error, backoff.next());
          if (wait === undefined || attempt >= readRetries) throw error;
          // Who waits for an answer keeps the process alive, unlike a clock's timers.
          await sleep(wait, undefined, request.signal && { signal: request.signal }).catch(() => undefined);
        }
      }
    },
    async *stream(request) {
      const body = await authenticated(streams, request);
      try {
        yield* body as AsyncIterable<Uint8Array>;
      } catch (error) {
        throw asApiError(error, url, request.signal);
      }
    },
    async close() {
      await Promise.all([requests.destroy(), streams.destroy()]);
    },
  };
}

/** Milliseconds after which a failed read is worth another try, undefined where it is not. */
function retryDelay(error: unknown, backoff: number): number | undefined {
  if (!(error instanceof ApiError)) return undefined;
  if (isUnreachable(error)) return error.reason === "Timeout" ? undefined : backoff;
  if (error.status !== 429 && error.status !== 503) return undefined;
  if (error.retryAfter === undefined) return backoff;
  return error.retryAfter <= maxRetryAfter ? error.retryAfter + backoff : undefined;
}

function asApiError(error: unknown, url: URL, signal: AbortSignal | undefined): ApiError {
  if (error instanceof ApiError) return error;
  const cause = error instanceof AggregateError ? (error.errors[0] as unknown) : error;
  if (signal?.aborted)
    return new ApiError({ status: 0, reason: "Aborted", message: "the request was given up" }, { cause });
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const timeout = code.includes("TIMEOUT");
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ApiError(
    {
      status: 0,
      reason: timeout ? "Timeout" : "Unreachable",
      message: `cannot reach the Kubernetes API at ${url.origin}: ${why || code}`,
    },
    { cause },
  );
}

function header(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
