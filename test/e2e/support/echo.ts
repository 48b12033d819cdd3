/**
 * Says who it is and whom it sees: HTTP on each port of `HTTP_PORTS` as JSON `{pod, peer, headers}`, TCP on each of
 * `TCP_PORTS` as a line `<pod> <peer>` before it says all that it is told. It never speaks first: under PERMISSIVE the
 * first bytes tell a sidecar whether they are TLS.
 */
import { createServer as createHttp } from "node:http";
import { createServer as createTcp } from "node:net";
import { hostname } from "node:os";

const portsOf = (name: string) => (process.env[name] ?? "").split(",").filter(Boolean).map(Number);
const host = process.env.HOST ?? "0.0.0.0";

for (const port of portsOf("HTTP_PORTS")) {
  const server = createHttp(({ socket, headers }, response) => {
    const answer = { pod: hostname(), peer: socket.remoteAddress, port, headers };
    response.setHeader("content-type", "application/json");
    response.end(`${JSON.stringify(answer)}\n`);
  });
  server.keepAliveTimeout = 300_000;
  server.listen(port, host);
}
for (const port of portsOf("TCP_PORTS")) {
  createTcp((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", (first) => {
      socket.write(`${hostname()} ${socket.remoteAddress}\n`);
      socket.write(first);
      socket.pipe(socket);
    });
  }).listen(port, host);
}
process.on("SIGTERM", () => process.exit(0));
