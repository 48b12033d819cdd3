/** What stands behind every endpoint: it says where a request arrived and how it looked there. */
import { createServer as createHttp, type IncomingMessage } from "node:http";
import { createServer as createHttp2 } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { pairHeader } from "./log.ts";

/** Header by which a request asks for another answer than 200. */
export const answerHeader = "x-answer";

export interface Upstream {
  /** On every loopback address: HTTP of either version, and bytes. */
  readonly port: number;
  /** Where a pair arrived, an entry an attempt or copy. */
  arrivals(pair: string): readonly Arrived[];
  stop(): Promise<void>;
}

export interface Arrived {
  readonly address: string;
  readonly authority: string;
  readonly path: string;
  /** What Envoy told of its timeout, milliseconds; 0: nothing. */
  readonly timeout: number;
}

/** Starts it on a free port. */
export async function startUpstream(): Promise<Upstream> {
  const seen = new Map<string, Arrived[]>();
  const handle = (request: Pick<IncomingMessage, "headers" | "url" | "socket">, response: Answer) => {
    const { headers, url = "" } = request;
    const pair = String(headers[pairHeader] ?? "");
    const arrivals = seen.get(pair) ?? [];
    seen.set(pair, arrivals);
    arrivals.push({
      address: localAddress(request.socket),
      authority: String(headers[":authority"] ?? headers.host ?? ""),
      path: url,
      timeout: Number(headers["x-envoy-expected-rq-timeout-ms"] ?? 0),
    });
    response.writeHead(Number(headers[answerHeader] ?? 200));
    response.end("ok");
  };
  const one = createHttp(handle);
  const two = createHttp2((request, response) => {
    const { headers, url, stream } = request;
    handle({ headers, url, socket: stream.session?.socket as Socket }, response);
  });
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (first) => {
      const start = first.subarray(0, 8).toString("latin1");
      if (!/^[A-Z]+ /.test(start)) return void socket.end(`at ${localAddress(socket)}\n`);
      socket.pause();
      socket.unshift(first);
      (start.startsWith("PRI ") ? two : one).emit("connection", socket);
      process.nextTick(() => socket.resume());
    });
  });
  server.listen(0, "0.0.0.0");
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    arrivals: (pair) => seen.get(pair) ?? [],
    async stop() {
      one.closeAllConnections();
      server.close();
    },
  };
}

interface Answer {
  writeHead(status: number): unknown;
  end(text: string): unknown;
}

function localAddress({ localAddress = "" }: Pick<Socket, "localAddress">): string {
  return localAddress.replace("::ffff:", "");
}
