/** What the strategies' test releases: answers with its version, and notes each request's `x-request-number` in `RECORD`. */
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";

const { VERSION: version = "1", HOST: host = "127.0.0.1", RECORD: record = "/dev/null" } = process.env;

createServer((request, response) => {
  response.setHeader("x-version", version);
  const number = request.headers["x-request-number"];
  if (typeof number === "string") appendFileSync(record, `${version} ${number}\n`);
  response.end();
}).listen(8080, host);
process.on("SIGTERM", () => process.exit(0));
