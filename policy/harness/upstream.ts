import { createServer as createHttpServer } from "node:http";
import { createServer } from "node:net";
import { portOf } from "./port.ts";

/** What an HTTP upstream saw of a request. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  /** Names and values in turn. */
  readonly headers: readonly string[];
}

export interface Upstreams {
  readonly http: number;
  readonly tcp: number;
  close(): Promise<void>;
}

/** Starts an HTTP server that answers with what it saw, and a TCP server that sends back what it gets. */
export async function startUpstreams(): Promise<Upstreams> {
  const http = createHttpServer({ insecureHTTPParser: true }, (request, response) => {
    const seen: Seen = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.rawHeaders,
    };
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(seen));
  });
  http.on("upgrade", (_, socket) => socket.destroy());
  const tcp = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.pipe(socket);
  });
  const ports = [await portOf(http), await portOf(tcp)];
  return {
    http: ports[0] ?? 0,
    tcp: ports[1] ?? 0,
    async close() {
      http.closeAllConnections();
      await Promise.all([http, tcp].map((server) => new Promise((done) => server.close(done))));
    },
  };
}
