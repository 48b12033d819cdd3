import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Receives the webhooks of all rollouts of a sweep, and passes each. */
export interface HookReceiver {
  readonly url: string;
  /** Which of these types a namespace's rollout has not called. */
  missing(namespace: string, types: readonly string[]): readonly string[];
  close(): Promise<void>;
}

export async function startHookReceiver(): Promise<HookReceiver> {
  /** `namespace type` of what was called, by the idempotency key, which carries the type. */
  const called = new Set<string>();
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const { namespace } = JSON.parse(body) as { namespace: string };
      const [, type] = String(request.headers["idempotency-key"]).split("/");
      called.add(`${namespace} ${type}`);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    missing: (namespace, types) => types.filter((type) => !called.has(`${namespace} ${type || "rollout"}`)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
