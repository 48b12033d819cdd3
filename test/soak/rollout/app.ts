/**
 * An application as they are: it takes its time to start (`START_DELAY` milliseconds before it listens) and ends at once
 * on SIGTERM, whatever it is doing. While the file `FAULT_FILE` exists, all answers are 500. With `POD_NAME` the version
 * that it names is `VERSION@POD_NAME`. With `CRASH` it ends before it listens.
 */
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const { VERSION: version = "1", FAULT_FILE: faultFile, HOST: host = "127.0.0.1" } = process.env;

const name = process.env.POD_NAME === undefined ? version : `${version}@${process.env.POD_NAME}`;

process.on("SIGTERM", () => process.exit(0));
if (process.env.CRASH !== undefined) process.exit(1);
await sleep(Number(process.env.START_DELAY ?? 0));
const server = createServer((request, response) => {
  response.setHeader("x-version", name);
  const isBroken = request.url !== "/healthz" && faultFile !== undefined && existsSync(faultFile);
  response.statusCode = isBroken ? 500 : 200;
  response.end(`version ${version}\n`);
});
// Longer than any proxy keeps an idle connection.
server.keepAliveTimeout = 300_000;
server.listen(Number(process.env.PORT ?? 8080), host);
