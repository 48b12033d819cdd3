import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { expect, test } from "vitest";
import { createAddressGuard } from "../../lib/address-guard.ts";
import { systemClock } from "../../lib/clock.ts";
import { createLimiter } from "./limits.ts";
import { createWeb, readWebAnswer, type WebOptions, webUrl } from "./web.ts";

/** Recorded answers of services in Argo's documents, and what stands in their place on a bad day. */
test.for([
  ['{"data":{"ok":true}}', "{$.data.ok}", { kind: "value", value: 1 }],
  ['{"data":{"successPercent":0.95}}', "{$.data.successPercent}", { kind: "value", value: 0.95 }],
  ['{"rate":"12.5"}', "$.rate", { kind: "value", value: 12.5 }],
  ['[{"v":3},{"v":4}]', "$[1].v", { kind: "value", value: 4 }],
  ['{"a":{"b":-1e-3}}', "$..b", { kind: "value", value: -0.001 }],
  ['{"rate":"NaN"}', "$.rate", { kind: "no-data", reason: "the value is NaN" }],
  ['{"rate":"+Inf"}', "$.rate", { kind: "no-data", reason: "the value is +Inf" }],
  ['{"rate":"Infinity"}', "$.rate", { kind: "no-data", reason: "the value is Infinity" }],
  ['{"rate":1e999}', "$.rate", { kind: "no-data", reason: "the value is infinite" }],
  ['{"rate":""}', "$.rate", { kind: "no-data", reason: "the value is a text, not a number" }],
  ['{"rate":null}', "$.rate", { kind: "no-data", reason: "the value is null" }],
  ['{"rate":[1]}', "$.rate", { kind: "no-data", reason: "the value is a list" }],
  ['{"rate":{}}', "$.rate", { kind: "no-data", reason: "the value is an object" }],
  ["{}", "$.rate", { kind: "no-data", reason: "$.rate gives 0 values, not one" }],
  ["[1,2]", "$[*]", { kind: "no-data", reason: "$[*] gives 2 values, not one" }],
  ["5", "$", { kind: "no-data", reason: "the answer is no json object" }],
  ["<html></html>", "$.rate", { kind: "error", reason: "HTTP 200 with a body that is no json" }],
  ["", "$.rate", { kind: "error", reason: "HTTP 200 with a body that is no json" }],
  ['{"toString":1}', "$.valueOf", { kind: "no-data", reason: "$.valueOf gives 0 values, not one" }],
] as const)("%s at %s", ([text, path, answer]) => {
  expect(readWebAnswer(200, text, path)).toEqual(answer);
});

test("a filter never reaches the reader", () => {
  const path = "$[?(@.constructor.constructor('return process')().exit())]";
  expect(readWebAnswer(200, '[{"a":1}]', path)).toMatchObject({ kind: "error", refused: true });
});

test.for([
  ["https://api.example.com", "/v1/rate?x=1", "https://api.example.com/v1/rate?x=1"],
  ["https://api.example.com/base/", "/v1", "https://api.example.com/base/v1"],
  ["https://api.example.com/base", "?service=shop", "https://api.example.com/base?service=shop"],
  ["https://api.example.com", ".evil.com/", undefined],
  ["https://api.example.com", "@evil.com/", undefined],
  ["https://api.example.com", "//evil.com/", undefined],
  ["https://api.example.com", "/\\evil.com/", undefined],
  ["https://api.example.com", ":8080/", undefined],
  ["https://api.example.com", "x", undefined],
  ["no url", "/x", undefined],
] as const)("%s with %s", ([address, query, url]) => {
  expect(webUrl(address, query)).toBe(url);
});

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    seen,
    address: `http://127.0.0.1:${address.port}`,
    [Symbol.dispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const web = (options: Partial<WebOptions> & { address: string }, loopback = true) =>
  createWeb({
    jsonPath: "$.rate",
    guard: createAddressGuard({ loopback }),
    limiter: createLimiter(systemClock),
    ...options,
  });

test("it asks with headers and the secret's token", async () => {
  using server = await serve((_, response) => response.end('{"rate":7}'));
  const provider = web({
    address: `${server.address}/base`,
    headers: { "x-team": ["a", "b"] },
    secret: () => Promise.resolve(new Map([["token", "t\n"]])),
  });
  expect(await provider.query(" /v1?service=shop ")).toEqual({ kind: "value", value: 7 });
  expect(server.seen[0]).toMatchObject({ method: "GET", url: "/base/v1?service=shop" });
  expect(server.seen[0]?.headers).toMatchObject({ authorization: "Bearer t", "x-team": "a, b" });
});

test("what goes wrong is an error and never rejects; a redirect is not followed", async () => {
  using slow = await serve(() => undefined);
  using inside = await serve((_, response) => response.end('{"rate":1}'));
  using redirecting = await serve((_, response) =>
    response.writeHead(302, { location: inside.address }).end(),
  );
  using endless = await serve((_, response) => response.end(`{"rate":"${"x".repeat(2_000_000)}"}`));
  using broken = await serve((_, response) => response.writeHead(503).end("{}"));
  const reason = async (options: Parameters<typeof web>[0], loopback = true): Promise<string> => {
    const answer = await web(options, loopback).query("/");
    return answer.kind === "error" ? answer.reason : answer.kind;
  };
  expect(await reason({ address: slow.address, timeout: 150 })).toBe("no answer within 0.15 s");
  expect(await reason({ address: redirecting.address })).toBe(
    "it redirects (HTTP 302): name the final address",
  );
  expect(await reason({ address: endless.address })).toBe("the answer has more than 1000000 bytes");
  expect(await reason({ address: broken.address })).toBe("HTTP 503");
  expect(await reason({ address: "http://127.0.0.1:1" })).toMatch(/ECONNREFUSED/);
  expect(await reason({ address: inside.address }, false)).toBe("127.0.0.1 may not be asked");
  const named = inside.address.replace("127.0.0.1", "localhost");
  expect(await reason({ address: named }, false)).toMatch(/resolves to an address that may not be asked/);
  expect(await reason({ address: "http://169.254.169.254" })).toBe("169.254.169.254 may not be asked");
  expect(inside.seen).toEqual([]);
});
