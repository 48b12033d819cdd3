import { createServer } from "node:http";

export interface MonitoringOptions {
  readonly host: string;
  readonly port: number;
  /** The metrics in Prometheus' text form. */
  readonly text: () => string;
}

/** Serves `/metrics` and `/healthz` of the control plane (15014). */
export async function serveMonitoring({
  host,
  port,
  text,
}: MonitoringOptions): Promise<{ close(): Promise<void> }> {
  const server = createServer((request, response) => {
    if (request.url === "/healthz") return void response.end("ok\n");
    if (request.url !== "/metrics") {
      response.statusCode = 404;
      return void response.end("ask for /metrics or /healthz\n");
    }
    response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(text());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
