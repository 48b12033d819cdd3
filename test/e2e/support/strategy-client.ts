/** A client in the mesh that a test tells what to ask: `POST /` with `{url, headers}` on `CONTROL_PORT` is asked through its sidecar. */
import { Agent, createServer, get } from "node:http";

const agent = new Agent({ keepAlive: true, proxyEnv: process.env });

createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString();
  });
  request.on("end", () => {
    const { url, headers } = JSON.parse(body) as { url: string; headers: Record<string, string> };
    const asked = get(url, { agent, headers, timeout: 5000 }, (answer) => {
      answer.resume();
      answer.on("end", () =>
        response.end(
          JSON.stringify({
            status: answer.statusCode,
            version: answer.headers["x-version"],
            cookies: answer.headers["set-cookie"] ?? [],
          }),
        ),
      );
    });
    asked.on("timeout", () => asked.destroy(new Error("no answer in 5 s")));
    asked.on("error", () => response.end(JSON.stringify({ status: 0, cookies: [] })));
  });
}).listen(Number(process.env.CONTROL_PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
