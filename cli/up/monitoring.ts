import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { answerApi } from "../../analysis/promql/api.ts";
import { writeExposition } from "../../analysis/promql/exposition.ts";
import { QueryError } from "../../analysis/promql/syntax.ts";
import type { SeriesSource } from "../../analysis/promql/value.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { AnswerDebug } from "../../mesh/debug/serve.ts";

export interface MonitoringOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The control plane's own metrics in Prometheus' text form. */
  readonly text: () => string;
  /** What the mesh's proxies report; `names` are its metrics. Absent where the mesh is another process. */
  readonly series?: SeriesSource & { readonly names: readonly string[] };
  /** The mesh's debug pages, for whom the API server lets see them. Absent where the mesh is another process. */
  readonly debug?: AnswerDebug;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Monitoring {
  readonly port: number;
  close(): Promise<void>;
}

/** Bytes of a query's form that are read. */
const longestForm = 65_536;
const textType = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Serves the control plane's `/metrics` and `/healthz` (15014), and what the proxies report as a Prometheus would:
 * `/api/v1/query`, `/api/v1/query_range` and `/federate` (docs/promql.md); of a mesh also its `/debug/…` (docs/mesh.md).
 */
export async function serveMonitoring(options: MonitoringOptions): Promise<Monitoring> {
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      options.logger.error({ err: error }, "a request for metrics could not be answered");
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { text, series, debug, clock }: MonitoringOptions,
): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://monitoring");
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, { "content-type": type }).end(body);
  };
  if (pathname === "/healthz") return send(200, "text/plain", "ok\n");
  if (pathname === "/metrics") return send(200, textType, text());
  if (debug !== undefined && pathname.startsWith("/debug/")) {
    const page = await debug(pathname, searchParams, request.headers.authorization);
    if (page?.status === 200) return send(200, "application/json", page.body);
    if (page !== undefined) return send(page.status, "text/plain", `${page.body}\n`);
  }
  if (series === undefined) return send(404, "text/plain", "ask for /metrics or /healthz\n");
  if (pathname === "/federate") {
    try {
      const page = writeExposition(series.names, series, clock.now(), searchParams.getAll("match[]"));
      return send(200, textType, page);
    } catch (error) {
      if (error instanceof QueryError) return send(400, "text/plain", `${error.message}\n`);
      throw error;
    }
  }
  const parameters = request.method === "POST" ? await readForm(request) : searchParams;
  if (parameters === undefined) return send(413, "text/plain", `a form may have ${longestForm} bytes\n`);
  const answered = await answerApi(pathname, parameters, series, clock.now());
  if (answered !== undefined) return send(answered.status, "application/json", JSON.stringify(answered.body));
  send(404, "text/plain", "ask for /metrics, /federate, /api/v1/query, /api/v1/query_range or /healthz\n");
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  let form = "";
  for await (const chunk of request as AsyncIterable<Buffer>) {
    form += chunk.toString("latin1");
    if (form.length > longestForm) return undefined;
  }
  return new URLSearchParams(form);
}
