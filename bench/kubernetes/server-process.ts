/** The embedded server in a process of its own: `node bench/kubernetes/server-process.ts FOLDER` prints how it is reached. */
import { silent } from "../../lib/log.ts";
import { serveKubernetes } from "../../local/apiserver/serve.ts";

const server = await serveKubernetes({
  dataDir: process.argv[2] ?? "",
  host: "127.0.0.1",
  port: 0,
  logger: silent,
});
const { url, ca, admin } = server;
process.stdout.write(`${JSON.stringify({ url, ca, certificate: admin.certificate, key: admin.key })}\n`);
process.once("SIGTERM", () => void server.close());
