/**
 * A small API server for the tests of this room: it keeps objects, watches and versions as Kubernetes does, and misbehaves
 * on demand. What the real protocol looks like is tested against `local/apiserver`.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeObject } from "../../api/resource.ts";

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

/** Answers a request instead of the server, or returns false to let it through. */
type Fault = (asked: Asked, response: ServerResponse) => boolean;

export interface FaultyApi {
  readonly url: string;
  readonly requests: readonly Asked[];
  /** Asked before each answer, the latest first. */
  fault(fault: Fault): () => void;
  /** Stores an object at the path of its collection, e.g. `/api/v1/namespaces/demo/pods`, and tells the watches. */
  put(
    collection: string,
    object: Partial<KubeObject> & { readonly metadata: { readonly name: string } },
  ): KubeObject;
  remove(collection: string, name: string): void;
  /** Writes a line into every open watch. */
  say(line: string): void;
  /** Ends (or, `cut`, breaks) every open watch. */
  endWatches(cut?: boolean): void;
  openWatches(): number;
  /** Forgets the history: a watch from an older version is told 410. */
  compact(): void;
  close(): Promise<void>;
}

interface Stored {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly version: number;
  readonly path: string;
  readonly object: KubeObject;
}

export async function startFaultyApi(): Promise<FaultyApi> {
  const objects = new Map<string, KubeObject>();
  const watches = new Map<ServerResponse, string>();
  const requests: Asked[] = [];
  const faults: Fault[] = [];
  let history: Stored[] = [];
  let version = 1;
  let compacted = 0;

  function store(type: Stored["type"], path: string, given: unknown): KubeObject {
    version++;
    const before = objects.get(path);
    const { metadata, ...rest } = given as KubeObject;
    const object: KubeObject = {
      ...rest,
      metadata: { uid: `uid-${version}`, ...before?.metadata, ...metadata, resourceVersion: String(version) },
    };
    if (type === "DELETED") objects.delete(path);
    else objects.set(path, object);
    const event = { type, version, path, object };
    history.push(event);
    for (const [response, prefix] of watches) send(response, prefix, event);
    return object;
  }

  function send(response: ServerResponse, prefix: string, { type, path, object }: Stored): void {
    if (within(path, prefix)) response.write(`${JSON.stringify({ type, object })}\n`);
  }

  function list(path: string, query: URLSearchParams, response: ServerResponse): void {
    const all = [...objects].filter(([key]) => within(key, path)).map(([, object]) => object);
    const from = Number(query.get("continue") ?? 0);
    const limit = Number(query.get("limit") ?? all.length);
    const metadata = {
      resourceVersion: String(version),
      ...(from + limit < all.length && { continue: String(from + limit) }),
    };
    answer(response, 200, {
      kind: "List",
      metadata,
      items: all
        .slice(from, from + limit)
        .map((object) => ({ ...object, apiVersion: undefined, kind: undefined })),
    });
  }

  function watch(path: string, query: URLSearchParams, response: ServerResponse): void {
    const from = Number(query.get("resourceVersion"));
    if (from < compacted) {
      refuse(response, 410, "Expired", "too old resource version");
      return;
    }
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    for (const event of history.filter((event) => event.version > from)) send(response, path, event);
    watches.set(response, path);
    const end = setTimeout(
      () => void (watches.delete(response) && response.end()),
      Number(query.get("timeoutSeconds") ?? 60) * 1000,
    );
    response.on("close", () => {
      clearTimeout(end);
      watches.delete(response);
    });
  }

  function write({ method, path, body }: Asked, response: ServerResponse): void {
    const object = body as KubeObject;
    const at = method === "POST" ? `${path}/${object.metadata.name}` : path.replace(/\/status$/, "");
    const before = objects.get(at);
    if (method === "POST") {
      if (before) refuse(response, 409, "AlreadyExists", `${at} already exists`);
      else answer(response, 201, store("ADDED", at, object));
      return;
    }
    if (!before) {
      refuse(response, 404, "NotFound", `${at} not found`);
      return;
    }
    if (method === "DELETE") {
      answer(response, 200, store("DELETED", at, before));
      return;
    }
    const asked = object.metadata?.resourceVersion;
    if (asked !== undefined && asked !== before.metadata.resourceVersion)
      refuse(response, 409, "Conflict", "the object has been modified");
    else answer(response, 200, store("MODIFIED", at, method === "PATCH" ? { ...before, ...object } : object));
  }

  const server = createServer(async (request, response) => {
    const { pathname: path, searchParams: query } = new URL(request.url ?? "/", "http://x");
    let text = "";
    for await (const chunk of request) text += String(chunk);
    const asked: Asked = {
      method: request.method ?? "",
      path,
      query,
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
    };
    requests.push(asked);
    if (faults.some((fault) => fault(asked, response))) return;
    if (asked.method !== "GET") write(asked, response);
    else if (query.get("watch") === "true") watch(path, query, response);
    else if (objects.has(path)) answer(response, 200, objects.get(path));
    else if (/\/[a-z]+s$/.test(path)) list(path, query, response);
    else refuse(response, 404, "NotFound", `${path} not found`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    fault(fault) {
      faults.unshift(fault);
      return () => void faults.splice(faults.indexOf(fault), 1);
    },
    put(collection, { metadata, ...rest }) {
      const path = `${collection}/${metadata.name}`;
      const namespace = /\/namespaces\/([^/]+)\//.exec(path)?.[1];
      const object = { ...rest, metadata: { ...metadata, ...(namespace !== undefined && { namespace }) } };
      return store(objects.has(path) ? "MODIFIED" : "ADDED", path, object);
    },
    remove(collection, name) {
      const path = `${collection}/${name}`;
      const object = objects.get(path);
      if (object) store("DELETED", path, object);
    },
    say(line) {
      for (const response of watches.keys()) response.write(`${line}\n`);
    },
    endWatches(cut = false) {
      for (const response of watches.keys()) {
        watches.delete(response);
        if (cut) response.destroy();
        else response.end();
      }
    },
    openWatches: () => watches.size,
    compact() {
      history = [];
      compacted = version;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Whether an object's path is of a collection, of one namespace or of all. */
function within(path: string, collection: string): boolean {
  const parent = path.slice(0, path.lastIndexOf("/"));
  return parent === collection || parent.replace(/\/namespaces\/[^/]+(?=\/)/, "") === collection;
}

/** What Kubernetes says when it refuses. */
export function refuse(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  answer(
    response,
    code,
    { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message },
    headers,
  );
}

function answer(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(code, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
