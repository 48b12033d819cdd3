/** Hooks that prove who calls: headers and a signature from a Secret, whose values no text shows. */
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import type { Secret } from "../../api/core.ts";
import type { Hook, HookAnswer } from "../../api/hooks.ts";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { hookSecretType, sign } from "./authenticate.ts";
import { createHooks } from "./call.ts";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** What the receiver saw, which sends its caller's token back. */
interface Seen {
  headers?: IncomingHttpHeaders;
  body?: string;
  answer: HookAnswer;
}

async function called(data: Record<string, string>, type: string = hookSecretType): Promise<Seen> {
  const seen: Partial<Seen> = {};
  server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on("end", () => {
      Object.assign(seen, { headers: request.headers, body: text });
      response.writeHead(403).end(`not you: ${request.headers.authorization}`);
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const encoded = Object.entries(data).map(([name, value]) => [name, Buffer.from(value).toString("base64")]);
  const secret: Secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "tester", namespace: "demo" },
    type,
    data: Object.fromEntries(encoded) as Record<string, string>,
  };
  const hooks = createHooks({
    clock: systemClock,
    guard: createAddressGuard({ loopback: true }),
    alerts: { send: () => {} },
    secret: (namespace, name) => (namespace === "demo" && name === "tester" ? secret : undefined),
  });
  const hook: Hook = {
    name: "smoke",
    type: "rollout",
    url,
    timeout: 2000,
    retries: 0,
    disableTLS: false,
    metadata: {},
    secret: "tester",
  };
  const canary = { namespace: "demo", name: "shop", uid: "1" };
  const run = { canary, run: "r", revision: "v2:1", checksum: "1" };
  const answer = await hooks.call(hook, "Progressing", run, "r/rollout/smoke", new AbortController().signal);
  await hooks.close();
  return { ...seen, answer };
}

test("each key is a header, and no answer shows what it holds", async () => {
  const { headers, answer } = await called({ Authorization: "Bearer t0p-secret\n", "x-team": "a" });
  expect(headers).toMatchObject({ authorization: "Bearer t0p-secret", "x-team": "a" });
  expect(headers).not.toHaveProperty("webhook-signature");
  expect(answer).toEqual({ kind: "failed", status: 403, text: "403 not you: ***" });
});

test("the key hmac-key signs id, time and body, and is sent to nobody", async () => {
  const { headers = {}, body } = await called({ "hmac-key": "whsec_c2VjcmV0" });
  const at = Number(headers["webhook-timestamp"]);
  expect(Math.abs(at - Date.now() / 1000)).toBeLessThan(10);
  const content = `${String(headers["webhook-id"])}.${at}.${body}`;
  const expected = createHmac("sha256", "secret").update(content).digest("base64");
  expect(headers["webhook-signature"]).toBe(`v1,${expected}`);
  expect(headers["webhook-id"]).toBe("r/rollout/smoke");
  expect(headers).not.toHaveProperty("hmac-key");
});

test("the signature is that of the specification's example", () => {
  const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  const body = '{"test": 2432232314}';
  expect(sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1_614_265_330_000)).toEqual({
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  });
});

test.each([
  [{ token: "x" }, "Opaque", "secret `tester` is of type `Opaque`, a hook's must be `fairlead.dev/hook`"],
  [
    { Host: "elsewhere" },
    hookSecretType,
    "secret `tester` has the key `Host`, which is the call's own header",
  ],
  [
    { "x-a": "one\r\nx-b: two" },
    hookSecretType,
    "secret `tester` has a value of `x-a` that no header may have",
  ],
])("a Secret that cannot be used fails the hook and calls nobody: %j", async (data, type, text) => {
  const { headers, answer } = await called(data, type);
  expect(headers).toBeUndefined();
  expect(answer).toEqual({ kind: "failed", text });
});
