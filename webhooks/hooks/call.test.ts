import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Hook, RunId } from "../../api/hooks.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { createHooks } from "./call.ts";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A receiver that answers with the given codes in turn, the last for ever; `hang` never answers. */
async function receiver(...codes: readonly (number | "hang")[]) {
  const bodies: unknown[] = [];
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      bodies.push(JSON.parse(text));
      const code = codes[Math.min(bodies.length, codes.length) - 1] ?? 200;
      if (code !== "hang") response.writeHead(code).end("because");
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, bodies };
}

function hook(url: string, retries = 0): Hook {
  return {
    name: "smoke",
    type: "rollout",
    url,
    timeout: 200,
    retries,
    disableTLS: false,
    metadata: { type: "cmd" },
  };
}

const run: RunId = {
  canary: { namespace: "demo", name: "shop", uid: "1" },
  run: "r",
  revision: "v2:1",
  checksum: "1",
};

async function call(given: Hook) {
  const hooks = createHooks({
    clock: systemClock,
    guard: createAddressGuard({ loopback: true }),
    alerts: { send: () => {} },
  });
  const answer = await hooks.call(given, "Progressing", run, "id", new AbortController().signal);
  await hooks.close();
  return answer;
}

test("any 2xx passes, and the payload is Flagger's", async () => {
  const { url, bodies } = await receiver(204);
  expect(await call(hook(url))).toMatchObject({ kind: "passed", status: 204 });
  expect(bodies).toEqual([
    { name: "shop", namespace: "demo", phase: "Progressing", checksum: "1", metadata: { type: "cmd" } },
  ]);
});

test("a 4xx fails at once and tells the body", async () => {
  const { url, bodies } = await receiver(403);
  expect(await call(hook(url, 3))).toEqual({ kind: "failed", status: 403, text: "403 because" });
  expect(bodies).toHaveLength(1);
});

test("a 5xx is tried again", async () => {
  const { url, bodies } = await receiver(500, 200);
  expect(await call(hook(url, 1))).toMatchObject({ kind: "passed" });
  expect(bodies).toHaveLength(2);
});

test("who does not answer is inconclusive after the timeout", async () => {
  const { url } = await receiver("hang");
  const started = performance.now();
  expect(await call(hook(url))).toEqual({ kind: "inconclusive", text: "no answer in 200 ms" });
  expect(performance.now() - started).toBeLessThan(1500);
});
