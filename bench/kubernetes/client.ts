/** The one client that both servers are asked by: keep-alive HTTP/1.1 over TLS with a bearer token. */
import { request as openRequest } from "node:https";
import { Agent, request } from "undici";

/** A server under test. */
export interface Api {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  readonly token: string;
}

export interface Client {
  readonly api: Api;
  /** One request, its answer read to the end. Rejects where the status is 300 or above. */
  send(method: string, path: string, body?: string, contentType?: string): Promise<string>;
  close(): Promise<void>;
}

/** A client with at most `connections` requests in flight. */
export function createClient(api: Api, connections: number): Client {
  const dispatcher = new Agent({ connections, pipelining: 1, connect: { ca: api.ca } });
  const authorization = `Bearer ${api.token}`;
  return {
    api,
    async send(method, path, body, contentType = "application/json") {
      const { statusCode, body: answer } = await request(`${api.url}${path}`, {
        method: method as "GET",
        dispatcher,
        headers: {
          authorization,
          accept: "application/json",
          ...(body === undefined ? {} : { "content-type": contentType }),
        },
        body: body ?? null,
      });
      const text = await answer.text();
      if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${text.slice(0, 300)}`);
      return text;
    },
    close: () => dispatcher.close(),
  };
}

/** One open watch; it counts what it gets and keeps nothing. */
export interface Watcher {
  /** Resolves when `count` events in all have come; rejects when the stream ends before. */
  reached(count: number): Promise<void>;
  stop(): void;
}

/** Opens a watch on a connection of its own; resolves when the server has answered its head. */
export function openWatch({ url, ca, token }: Api, path: string): Promise<Watcher> {
  return new Promise((resolve, reject) => {
    let seen = 0;
    let wanted = Number.POSITIVE_INFINITY;
    let settle: { done: () => void; fail: (error: Error) => void } | undefined;
    const call = openRequest(`${url}${path}`, {
      ca,
      agent: false,
      headers: { authorization: `Bearer ${token}` },
    });
    call.on("error", reject);
    call.on("response", (response) => {
      if (response.statusCode !== 200) return reject(new Error(`watch: ${response.statusCode}`));
      response.on("data", (chunk: Buffer) => {
        // An event is a line.
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) seen++;
        if (seen >= wanted) settle?.done();
      });
      response.on("error", () => undefined);
      response.on("close", () =>
        settle?.fail(new Error(`the watch ended after ${seen} of ${wanted} events`)),
      );
      resolve({
        reached: (count) =>
          new Promise((done, fail) => {
            wanted = count;
            settle = { done, fail };
            if (seen >= wanted) done();
          }),
        stop() {
          settle = undefined;
          call.destroy();
        },
      });
    });
    call.end();
  });
}
