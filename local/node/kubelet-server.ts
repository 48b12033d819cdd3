import { createServer, type Server } from "node:https";
import { pipeline } from "node:stream/promises";
import { openKeyring } from "../apiserver/pki/keyring.ts";
import type { RunningNode } from "./node.ts";
import { PodLogError, type PodLogOptions } from "./pod-log.ts";

/** The kubelet's port. */
export const kubeletPort = 10250;

export interface KubeletOptions {
  /** An address of this machine alone: who can reach it can read logs. */
  readonly host: string;
  /** Where its certificate is kept. */
  readonly keys: string;
  readonly podLog: RunningNode["podLog"];
}

/**
 * Serves what an API server asks a node for: `/containerLogs/NAMESPACE/POD/CONTAINER`, by which `kubectl logs` works
 * against an API server that is not ours.
 */
export async function serveKubelet({
  host,
  keys,
  podLog,
}: KubeletOptions): Promise<{ close(): Promise<void> }> {
  const { certificate, key } = openKeyring(keys, [host], Date.now()).serving;
  const server: Server = createServer({ cert: certificate, key }, (request, response) => {
    const url = new URL(request.url ?? "/", "https://node");
    const [, page, namespace, pod, container] = url.pathname.split("/").map(decodeURIComponent);
    const refuse = (status: number, message: string) => response.writeHead(status).end(message);
    if (page !== "containerLogs" || !namespace || !pod || !container) return void refuse(404, "not found\n");
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    try {
      const log = podLog(namespace, pod, readOptions(url.searchParams, container, gone.signal));
      response.writeHead(200, { "content-type": "text/plain" });
      pipeline(log, response).catch(() => response.destroy());
    } catch (error) {
      refuse(error instanceof PodLogError ? error.status : 500, error instanceof Error ? error.message : "");
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(kubeletPort, host, resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The API server has checked the values. */
function readOptions(query: URLSearchParams, container: string, signal: AbortSignal): PodLogOptions {
  const number = (name: "tailLines" | "sinceSeconds" | "limitBytes") =>
    query.has(name) ? { [name]: Number(query.get(name)) } : {};
  const sinceTime = query.get("sinceTime");
  return {
    container,
    follow: query.get("follow") === "true",
    previous: query.get("previous") === "true",
    timestamps: query.get("timestamps") === "true",
    ...number("tailLines"),
    ...number("sinceSeconds"),
    ...number("limitBytes"),
    ...(sinceTime === null ? {} : { sinceTime }),
    signal,
  };
}
