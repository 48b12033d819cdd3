import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AppMetrics, AppProbe } from "./config.ts";
import { type Answer, http, request } from "./http.ts";
import { mergePages, renameSeries } from "./metrics-page.ts";
import { probeApp } from "./probes.ts";

/** What the agent's ports answer with. */
export interface StatusHandlers {
  readonly appAddress: string;
  readonly appSource?: string;
  readonly podIp: string;
  /** By path, e.g. `/app-health/web/readyz`. */
  readonly probes: Readonly<Record<string, AppProbe>>;
  readonly appMetrics?: AppMetrics;
  /** undefined: ready. */
  readonly whyNotReady: () => Promise<string | undefined>;
  /** Envoy's Prometheus page. */
  readonly envoyMetrics: () => Promise<string>;
  /** Resolves when no proxy sends to this pod any more. */
  readonly drain: () => Promise<void>;
  readonly quit: () => void;
}

/**
 * Ports 15020 and 15021: readiness, the merged metrics page, the application's probes, drain and quit.
 *
 * @param port 0 for a free one
 */
export async function serveStatus(handlers: StatusHandlers, host: string, port: number): Promise<Server> {
  const server = http.createServer((incoming, response) => {
    answer(handlers, incoming).then(
      ({ status, body }) => write(response, status, body),
      () => write(response, 502, "envoy does not answer"),
    );
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return server;
}

function write(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(body);
}

async function answer(handlers: StatusHandlers, incoming: IncomingMessage): Promise<Answer> {
  const path = incoming.url?.split("?", 1)[0] ?? "/";
  switch (path) {
    case "/healthz/ready": {
      const reason = await handlers.whyNotReady();
      return reason === undefined ? { status: 200, body: "" } : { status: 503, body: reason };
    }
    case "/stats/prometheus":
      return {
        status: 200,
        body: mergePages(renameSeries(await handlers.envoyMetrics()), await appPage(handlers)),
      };
    case "/drain":
      await handlers.drain();
      return { status: 200, body: "" };
    case "/quitquitquit":
      return quit(handlers, incoming);
    default: {
      const probe = Object.hasOwn(handlers.probes, path) ? handlers.probes[path] : undefined;
      return probe
        ? probeApp(probe, handlers.appAddress, handlers.appSource)
        : { status: 404, body: "no such page" };
    }
  }
}

/** A page that does not come is left out: the proxy's own series matter more than the application's. */
async function appPage({ appMetrics, appAddress, appSource }: StatusHandlers): Promise<string> {
  if (!appMetrics) return "";
  try {
    const { status, body } = await request({
      ...appMetrics,
      host: appAddress,
      localAddress: appSource,
      timeout: 3_000,
    });
    return status === 200 ? body : "";
  } catch {
    return "";
  }
}

/** Only a container of this pod may end its sidecar, e.g. a job that is done. */
function quit({ podIp, appAddress, quit: end }: StatusHandlers, incoming: IncomingMessage): Answer {
  const peer = incoming.socket.remoteAddress?.replace(/^::ffff:/, "") ?? "";
  if (!["127.0.0.1", "::1", podIp, appAddress].includes(peer))
    return { status: 403, body: "only from this pod" };
  if (incoming.method !== "POST") return { status: 405, body: "use POST" };
  end();
  return { status: 200, body: "OK" };
}
