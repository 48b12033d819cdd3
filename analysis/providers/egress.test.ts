/** Addresses that users name in templates and Canaries: what may not be asked is not, and what answers is not told. */
import { createServer, type ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { createProviders } from "./providers.ts";

async function serve(answer: (response: ServerResponse) => void) {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    asked: () => asked,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const providers = (loopback: boolean) =>
  createProviders({ guard: createAddressGuard({ loopback }), clock: systemClock });
const kinds = ["prometheus", "web"] as const;
const ask = (kind: (typeof kinds)[number], address: string, loopback = false) =>
  (kind === "prometheus"
    ? providers(loopback).prometheus({ address, timeout: 1000 }, "")
    : providers(loopback).web({ address, timeout: 1000, jsonPath: "$.rate" }, "")
  ).query(kind === "prometheus" ? "up" : "/");

for (const kind of kinds) {
  test.for([
    "http://169.254.169.254",
    "http://169.254.169.254:80/latest",
    "http://[::ffff:169.254.169.254]",
    "http://2852039166",
    "http://0xa9.0xfe.0xa9.0xfe",
    "http://127.0.0.1:PORT",
    "http://localhost:PORT",
    "http://[::1]:PORT",
    "http://0:PORT",
    "file:///etc/passwd",
  ])(`${kind}: %s is not asked`, async (address) => {
    using server = await serve((response) => response.end("{}"));
    const answer = await ask(kind, address.replace("PORT", String(server.port)));
    expect(answer).toMatchObject({
      kind: "error",
      reason: expect.stringMatching(/may not be asked|no http|must be a path/),
    });
    expect(server.asked()).toBe(0);
  });

  test(`${kind}: a redirect is not followed, wherever it leads`, async () => {
    using inside = await serve((response) => response.end('{"rate":1}'));
    using outside = await serve((response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${inside.port}/` }).end(),
    );
    const answer = await ask(kind, `http://127.0.0.1:${outside.port}`, true);
    expect(answer).toEqual({ kind: "error", reason: "it redirects (HTTP 307): name the final address" });
    expect(inside.asked()).toBe(0);
  });

  test(`${kind}: the words of another service do not reach the Canary's status`, async () => {
    for (const [status, body] of [
      [200, '{"rate":"hunter2"}'],
      [200, '{"status":"success","data":{"resultType":"scalar","result":[1,"hunter2"]}}'],
      [403, '{"status":"error","error":"hunter2"}'],
      [500, "hunter2"],
    ] as const) {
      using server = await serve((response) => response.writeHead(status).end(body));
      const answer = await ask(kind, `http://127.0.0.1:${server.port}`, true);
      expect(answer.kind).not.toBe("value");
      expect(JSON.stringify(answer)).not.toContain("hunter2");
    }
  });
}
