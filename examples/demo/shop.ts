/**
 * The service that the demo releases: answers each request with its version.
 *
 * `FAULT_FILE` is its fault switch: while that file exists, the share of requests that it holds (0-1) is
 * answered 500. Only the version that is started with it has the switch. Each failure's time (epoch milliseconds with
 * fractions) is a line of `FAULT_FILE` with `.failures` behind it: who stands behind a shield is not noticed otherwise.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const version = process.env.VERSION ?? "1";
const faultFile = process.env.FAULT_FILE;
const host = process.env.HOST ?? "127.0.0.1";
const port = Number(process.env.PORT ?? 8080);

function faultShare(): number {
  if (faultFile === undefined) return 0;
  try {
    return Number(readFileSync(faultFile, "utf8"));
  } catch {
    return 0;
  }
}

const server = createServer((request, response) => {
  response.setHeader("x-version", version);
  response.setHeader("content-type", "text/plain");
  if (request.url === "/healthz") return void response.end("ok\n");
  if (Math.random() < faultShare()) {
    appendFileSync(`${faultFile}.failures`, `${performance.timeOrigin + performance.now()}\n`);
    response.statusCode = 500;
    return void response.end(`version ${version} is broken\n`);
  }
  response.end(`hello from version ${version}\n`);
});
// Longer than any proxy keeps an idle connection: the server never closes one under a request.
server.keepAliveTimeout = 300_000;
server.listen(port, host);
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
