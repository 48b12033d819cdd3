/**
 * An application as they are: it takes its time to start (`START_DELAY` milliseconds before it listens) and ends at once
 * on SIGTERM, whatever it is doing. While the file `FAULT_FILE` exists, all answers are 500.
 */
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const { VERSION: version = "1", FAULT_FILE: faultFile, HOST: host = "127.0.0.1" } = process.env;

process.on("SIGTERM", () => process.exit(0));
await sleep(Number(process.env.START_DELAY ?? 0));
const server = createServer((request, response) => {
  response.setHeader("x-version", version);
  const isBroken = request.url !== "/healthz" && faultFile !== undefined && existsSync(faultFile);
  response.statusCode = isBroken ? 500 : 200;
  response.end(`version ${version}\n`);
});
// Longer than any proxy keeps an idle connection.
server.keepAliveTimeout = 300_000;
server.listen(Number(process.env.PORT ?? 8080), host);
