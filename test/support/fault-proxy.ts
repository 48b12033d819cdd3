/** A proxy in front of an API server that injects faults: which requests it hits is decided by a seed. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { Pool } from "undici";
import type { Connection } from "../../kube/contract.ts";
import { randomFrom } from "./random.ts";

/** What is done to a request, by what it asks. `random`: 0 to below 1, of the seed. */
export type Fault = (asked: Asked, random: () => number) => Harm | undefined;

export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly isWatch: boolean;
  /** How many requests of this kind (watch, read, write) came before, since the fault began. */
  readonly number: number;
}

export type Harm =
  /** The connection is broken before the server hears anything. */
  | { readonly kind: "cut" }
  /** The server is not asked; a Status of this code comes back. */
  | { readonly kind: "refuse"; readonly status: number; readonly retryAfter?: number }
  /** Milliseconds before the server is asked. */
  | { readonly kind: "delay"; readonly delay: number }
  /** A watch that stays open and says nothing more. */
  | { readonly kind: "silence" }
  /** A watch of which each event comes twice. */
  | { readonly kind: "repeat" }
  /** A watch of which only the bookmarks come. */
  | { readonly kind: "bookmarks" }
  /** A watch that breaks after so many events; the one it breaks at is lost. */
  | { readonly kind: "break"; readonly events: number };

export interface FaultProxy {
  /** To the server, through the proxy. */
  readonly connection: Connection;
  /** From now on; open watches are broken, so that it holds for them too. None: all is well. */
  fault(fault?: Fault): void;
  /** Requests since the fault began: what was asked, and whether the server heard of it. */
  readonly asked: readonly (Asked & { readonly at: number; readonly passed: boolean })[];
  close(): Promise<void>;
}

const reasons: Readonly<Record<number, string>> = {
  409: "Conflict",
  410: "Expired",
  429: "TooManyRequests",
  500: "InternalError",
};

export async function startFaultProxy(to: Connection, seed: number): Promise<FaultProxy> {
  const random = randomFrom(seed);
  const pool = new Pool(new URL(to.url).origin, {
    connect: {
      rejectUnauthorized: to.insecureSkipTlsVerify !== true,
      ...(to.ca !== undefined && { ca: to.ca }),
      ...(to.certificate !== undefined && { cert: to.certificate }),
      ...(to.key !== undefined && { key: to.key }),
      ...(to.serverName !== undefined && { servername: to.serverName }),
    },
    bodyTimeout: 0,
  });
  const sockets = new Set<Socket>();
  let current: Fault | undefined;
  let asked: (Asked & { at: number; passed: boolean })[] = [];

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path, searchParams } = new URL(request.url ?? "/", "http://proxy");
    const method = request.method ?? "GET";
    const isWatch = searchParams.get("watch") === "true";
    const sameSort = asked.filter(
      (one) => one.isWatch === isWatch && (one.method === "GET") === (method === "GET"),
    );
    const about = { method, path, isWatch, number: sameSort.length };
    const harm = current?.(about, random);
    const passed = harm?.kind !== "cut" && harm?.kind !== "refuse";
    asked.push({ ...about, at: performance.now(), passed });
    if (harm?.kind === "cut") {
      request.socket.destroy();
      return;
    }
    if (harm?.kind === "refuse") {
      refuse(response, harm.status, harm.retryAfter);
      return;
    }
    const body = await readBody(request);
    if (harm?.kind === "delay") await new Promise((resolve) => setTimeout(resolve, harm.delay));
    const token = typeof to.token === "function" ? await to.token() : to.token;
    const {
      host: _host,
      connection: _connection,
      "transfer-encoding": _encoding,
      ...headers
    } = request.headers;
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const upstream = await pool.request({
      method: method as "GET",
      path: request.url ?? "/",
      headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ...(body.length > 0 && { body }),
      signal: gone.signal,
    });
    const { "transfer-encoding": _chunked, connection: _kept, ...answered } = upstream.headers;
    response.writeHead(upstream.statusCode, answered as Record<string, string>);
    response.flushHeaders();
    if (isWatch && harm !== undefined) await passEvents(upstream.body, response, harm);
    else for await (const chunk of upstream.body) response.write(chunk);
    response.end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    connection: {
      url: `http://127.0.0.1:${port}`,
      ...(to.fieldManager && { fieldManager: to.fieldManager }),
    },
    fault(fault) {
      current = fault;
      asked = [];
      for (const socket of sockets) socket.destroy();
    },
    get asked() {
      return asked;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await pool.destroy();
    },
  };
}

async function passEvents(
  body: AsyncIterable<Uint8Array>,
  response: ServerResponse,
  harm: Harm,
): Promise<void> {
  let rest = "";
  let events = 0;
  for await (const chunk of body) {
    if (harm.kind === "silence") continue;
    rest += Buffer.from(chunk).toString();
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (harm.kind === "break" && events++ >= harm.events) {
        response.destroy();
        return;
      }
      if (harm.kind === "bookmarks" && !/"type":\s*"BOOKMARK"/.test(line)) continue;
      response.write(`${line}\n`);
      if (harm.kind === "repeat") response.write(`${line}\n`);
    }
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function refuse(response: ServerResponse, code: number, retryAfter: number | undefined): void {
  const status = {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    code,
    reason: reasons[code] ?? "Unknown",
    message: "injected by the test",
  };
  response.writeHead(code, {
    "content-type": "application/json",
    ...(retryAfter !== undefined && { "retry-after": String(retryAfter) }),
  });
  response.end(JSON.stringify(status));
}
