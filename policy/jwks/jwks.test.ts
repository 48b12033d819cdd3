import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { afterEach, expect, test } from "vitest";
import type { Clock } from "../../lib/clock.ts";
import { egressGuard } from "./egress.ts";
import { fetchDocument } from "./fetch.ts";
import { KeyStore } from "./store.ts";

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}

const open = egressGuard(["127.0.0.0/8"]);
const closed = egressGuard();
const jwk = {
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }),
  kid: "a",
};
const keySet = JSON.stringify({ keys: [jwk] });

test.for([
  "127.0.0.1",
  "127.9.9.9",
  "0.0.0.0",
  "169.254.169.254",
  "::1",
  "::",
  "::ffff:169.254.169.254",
  "::ffff:a9fe:a9fe",
  "64:ff9b::a9fe:a9fe",
  "fe80::1%eth0",
  "fd00:ec2::254",
  "100.100.100.200",
  "224.0.0.1",
  "nonsense",
])("%s may not be connected to", (address) => {
  expect(closed(address)).toEqual(expect.any(String));
});

test("private and public addresses may be, and what is allowed by name", () => {
  expect(["10.1.2.3", "192.168.0.1", "8.8.8.8", "2001:db8::1", "::ffff:8.8.8.8"].map(closed)).toEqual(
    Array(5).fill(undefined),
  );
  expect(open("127.0.0.1")).toBeUndefined();
  expect(open("169.254.169.254")).toContain("link-local");
  expect(() => egressGuard(["localhost"])).toThrow("must be a CIDR block");
});

test.for([
  ["http://169.254.169.254/latest/meta-data", "link-local"],
  ["http://2852039166/", "link-local"],
  ["http://0xa9fea9fe/", "link-local"],
  ["http://[::ffff:169.254.169.254]/", "link-local"],
  ["http://localhost:1/", "loopback"],
  ["ftp://example.com/", "neither http nor https"],
  ["http://user:secret@example.com/", "password"],
  ["no url", "is no URL"],
] as const)("%s is not fetched: %s", async ([uri, why]) => {
  await expect(fetchDocument(uri, closed, 1000)).rejects.toThrow(why);
});

test("a redirect is followed, but not to where the guard says no, and not for ever", async () => {
  const at = await serve(({ url }, response) => {
    if (url === "/keys") return response.end(keySet);
    const to = { "/": "/keys", "/out": "http://169.254.169.254/x" }[url ?? ""] ?? "/loop";
    response.writeHead(302, { location: to }).end();
  });
  expect(await fetchDocument(`${at}/`, open, 1000)).toBe(keySet);
  await expect(fetchDocument(`${at}/out`, open, 1000)).rejects.toThrow(
    "its address is not allowed: link-local",
  );
  await expect(fetchDocument(`${at}/loop`, open, 1000)).rejects.toThrow("redirects more than 5 times");
});

test("size and time are bounded, and nothing of an answer is repeated", async () => {
  const at = await serve(({ url }, response) => {
    if (url === "/large") response.end("x".repeat(1024 * 1024 + 1));
    else if (url === "/error") response.writeHead(500).end("canary-secret");
    else response.write("{");
  });
  await expect(fetchDocument(`${at}/large`, open, 1000)).rejects.toThrow("larger than 1 MiB");
  await expect(fetchDocument(`${at}/slow`, open, 200)).rejects.toThrow("gave no answer in 200 ms");
  await expect(fetchDocument(`${at}/error`, open, 1000)).rejects.toThrow(/^answered with status 500$/);
});

/** A clock whose callbacks are called by hand. */
function handClock() {
  const waits: { delay: number; callback: () => void }[] = [];
  const clock: Clock = {
    now: () => 0,
    monotonic: () => 0,
    after: (delay, callback) => {
      const wait = { delay, callback };
      waits.push(wait);
      return () => void waits.splice(waits.indexOf(wait), 1);
    },
  };
  return { clock, waits };
}

test("keys are found by discovery, kept through a failure, renewed after it", async () => {
  let answer: string | undefined = JSON.stringify({ keys: [{ ...jwk, d: "private" }] });
  const asked: string[] = [];
  const { clock, waits } = handClock();
  const changed = { waiting: Promise.withResolvers<void>() };
  const store = new KeyStore({
    clock,
    fetch: (uri) => {
      asked.push(uri);
      if (uri.endsWith("openid-configuration"))
        return Promise.resolve(JSON.stringify({ jwks_uri: "https://a.example/keys" }));
      return answer === undefined ? Promise.reject(new Error("canary-secret")) : Promise.resolve(answer);
    },
    onChange: () => changed.waiting.resolve(),
  });
  const source = { issuer: "https://a.example/", uri: undefined, timeout: 100 };
  const next = async () => {
    await changed.waiting.promise;
    changed.waiting = Promise.withResolvers();
  };
  store.want([source]);
  expect(store.keysOf(source)).toEqual({ problem: "its keys were not fetched yet" });
  await next();
  expect(asked).toEqual(["https://a.example/.well-known/openid-configuration", "https://a.example/keys"]);
  // The private part of a key that an issuer publishes by mistake is not passed on.
  expect(store.keysOf(source)).toEqual({ jwks: keySet });
  expect(waits[0]?.delay).toBeGreaterThanOrEqual(18 * 60_000);

  answer = undefined;
  waits.shift()?.callback();
  await next();
  expect(store.keysOf(source)).toEqual({ jwks: keySet, problem: "its keys cannot be read" });
  expect(waits[0]?.delay).toBeLessThanOrEqual(1000);

  answer = keySet.replace('"a"', '"b"');
  waits.shift()?.callback();
  await next();
  expect(store.keysOf(source)).toEqual({ jwks: answer });
  store.want([]);
  expect(store.keysOf(source)).toBeUndefined();
  store.close();
});

test("what is no key set gives no key at all", async () => {
  const { clock } = handClock();
  const changed = Promise.withResolvers<void>();
  const store = new KeyStore({
    clock,
    fetch: () => Promise.resolve('{"keys": []}'),
    onChange: () => changed.resolve(),
  });
  const source = { issuer: "x", uri: "https://a.example/keys", timeout: 100 };
  store.want([source]);
  await changed.promise;
  expect(store.keysOf(source)).toEqual({ problem: "is no key set (RFC 7517) with a key that can be used" });
  store.close();
});
