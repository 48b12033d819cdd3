/**
 * One version of the shop: HTTP/1.1 on 8080 and HTTP/2 in the clear on 8081; on 8090, which no sidecar sees, `POST /MODE`
 * says how it answers from now on, `GET /count` how many requests came, `GET /ready` whether it wants any.
 */
import { createServer as createHttp } from "node:http";
import { constants, createServer as createHttp2 } from "node:http2";
import type { Server } from "node:net";
import type { Mode } from "./modes.ts";

const { HOST: host = "127.0.0.1", VERSION: version = "primary" } = process.env;
/** How long an answer hangs, milliseconds: longer than any shield waits. */
const hangs = 3000;
let mode: Mode = "healthy";
let count = 0;

const http = createHttp((request, response) => {
  count += 1;
  if (mode === "resets") return void request.socket.destroy();
  if (mode === "dies") {
    response.writeHead(200, { "content-length": "100" }).write("half of it");
    return void setTimeout(() => request.socket.destroy(), 2);
  }
  const answer = () => response.writeHead(mode === "fails" ? 500 : 200, { version }).end(version);
  if (mode === "hangs") setTimeout(answer, hangs);
  else answer();
});
http.keepAliveTimeout = 120_000;

const http2 = createHttp2();
http2.on("stream", (stream) => {
  stream.on("error", () => stream.destroy());
  count += 1;
  if (mode === "resets") return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  if (mode === "dies") {
    stream.respond({ ":status": 200, "content-length": "100" });
    stream.write("half of it");
    return void setTimeout(() => stream.close(constants.NGHTTP2_INTERNAL_ERROR), 2);
  }
  const answer = () => {
    if (stream.destroyed) return;
    stream.respond({ ":status": mode === "fails" ? 500 : 200, version });
    stream.end(version);
  };
  if (mode === "hangs") setTimeout(answer, hangs);
  else answer();
});

const listening: readonly (readonly [Server, number])[] = [
  [http, 8080],
  [http2, 8081],
];

async function listen(): Promise<void> {
  for (const [server, port] of listening)
    if (!server.listening) await new Promise<void>((resolve) => server.listen(port, host, resolve));
}

function refuse(): void {
  for (const [server] of listening) if (server.listening) server.close();
  http.closeAllConnections();
}

const sessions = new Set<{ destroy(): void }>();
http2.on("session", (session) => {
  sessions.add(session);
  session.on("close", () => sessions.delete(session));
  session.on("error", () => session.destroy());
});

await listen();
createHttp((request, response) => {
  const path = request.url ?? "/";
  if (request.method === "POST") {
    mode = path.slice(1) as Mode;
    count = 0;
    if (mode === "refuses") {
      refuse();
      for (const session of sessions) session.destroy();
      response.end();
    } else void listen().then(() => response.end());
    return;
  }
  if (path === "/ready") response.statusCode = mode === "unready" ? 503 : 200;
  response.end(String(count));
}).listen(8090, host);
