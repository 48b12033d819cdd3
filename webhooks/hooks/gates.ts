import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gateAnnotation, rollbackSwitchAnnotation } from "../../api/annotations.ts";
import { CanaryKind } from "../../api/kinds.ts";
import type { Client } from "../../kube/contract.ts";
import { isNotFound } from "../../kube/error.ts";
import type { Logger } from "../../lib/log.ts";

export interface GatesOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly client: Pick<Client, "get" | "patch">;
  readonly logger: Logger;
}

export interface Gates {
  readonly port: number;
  close(): Promise<void>;
}

/** Bytes of a payload that are read. */
const longestPayload = 65_536;

/**
 * Serves the gates and rollback switches of Flagger's load tester on its paths: `/gate/approve`, `/gate/halt`,
 * `/gate/check|open|close`, `/rollback/check|open|close`. POST of `{name, namespace}`; one gate and one switch a Canary,
 * closed until opened. Their state is an annotation of the Canary, so it outlives every process.
 */
export async function serveGates({ host, port, client, logger }: GatesOptions): Promise<Gates> {
  const server = createServer((request, response) => {
    void answer(request, client)
      .catch((error: unknown): Answer => {
        logger.warn({ err: error }, "a gate could not be read or set");
        return { status: 503, text: "the cluster does not answer" };
      })
      .then(({ status, text }) => respond(response, status, text));
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

const switches = new Map([
  ["gate", gateAnnotation],
  ["rollback", rollbackSwitchAnnotation],
]);

async function answer(request: IncomingMessage, client: GatesOptions["client"]): Promise<Answer> {
  const { pathname } = new URL(request.url ?? "/", "http://gates");
  if (pathname === "/healthz") return { status: 200, text: "OK" };
  if (request.method !== "POST") return { status: 405, text: "POST only" };
  if (pathname === "/gate/approve") return { status: 200, text: "OK" };
  if (pathname === "/gate/halt") return { status: 403, text: "Forbidden" };
  const [, what = "", verb = "", ...more] = pathname.split("/");
  const annotation = switches.get(what);
  if (annotation === undefined || more.length > 0 || !["check", "open", "close"].includes(verb))
    return { status: 404, text: "ask for /gate or /rollback with /check, /open or /close" };
  const canary = readPayload(await readBody(request));
  if (canary === undefined)
    return { status: 400, text: "the body must be JSON with `name` and `namespace` of a canary" };
  const { namespace, name } = canary;
  if (verb === "check") {
    const object = await client.get(CanaryKind, namespace, name);
    const isOpen = object?.metadata.annotations?.[annotation] === "open";
    return isOpen ? { status: 200, text: "Approved" } : { status: 403, text: "Forbidden" };
  }
  const body = { metadata: { annotations: { [annotation]: verb === "open" ? "open" : null } } };
  try {
    await client.patch(CanaryKind, namespace, name, { kind: "merge", body });
  } catch (error) {
    if (isNotFound(error)) return { status: 404, text: `canary ${namespace}/${name} does not exist` };
    throw error;
  }
  return { status: 202, text: "Accepted" };
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length > longestPayload) return "";
  }
  return text;
}

function readPayload(text: string): { readonly namespace: string; readonly name: string } | undefined {
  try {
    const payload: unknown = JSON.parse(text);
    if (typeof payload !== "object" || payload === null) return undefined;
    const { name, namespace } = payload as { readonly name?: unknown; readonly namespace?: unknown };
    const isName = (value: unknown): value is string =>
      typeof value === "string" && /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(value);
    return isName(name) && isName(namespace) ? { name, namespace } : undefined;
  } catch {
    return undefined;
  }
}

function respond(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" }).end(`${text}\n`);
}
