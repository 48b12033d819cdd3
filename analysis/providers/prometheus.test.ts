import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { expect, test } from "vitest";
import { createRoot } from "../../mesh/ca/authority.ts";
import { createPrometheus } from "./prometheus.ts";

const ok = JSON.stringify({
  status: "success",
  data: { resultType: "vector", result: [{ metric: {}, value: [1, "+Inf"] }] },
});

/** A server for one test; `seen` holds its requests. */
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

test("it asks Flagger's way: one GET, whitespace folded, headers and token sent", async () => {
  using server = await serve((_, response) => response.end(ok));
  const provider = createPrometheus({
    address: `${server.address}/prefix/`,
    headers: { "X-Scope-OrgID": ["a", "b"] },
    secret: () => Promise.resolve(new Map([["token", "secret\n"]])),
  });
  expect(await provider.query(" sum(\n  up\n)  ")).toEqual({ kind: "no-data", reason: "the value is +Inf" });
  const [request] = server.seen;
  const url = new URL(request?.url ?? "", server.address);
  expect([request?.method, url.pathname, url.searchParams.get("query")]).toEqual([
    "GET",
    "/prefix/api/v1/query",
    "sum( up )",
  ]);
  expect(request?.headers).toMatchObject({ authorization: "Bearer secret", "x-scope-orgid": "a, b" });
});

test("username and password are sent as basic authentication, and read anew at each query", async () => {
  using server = await serve((_, response) => response.end(ok));
  let reads = 0;
  const secret = () => {
    reads += 1;
    return Promise.resolve(
      new Map([
        ["username", "u"],
        ["password", `p${reads}`],
      ]),
    );
  };
  const provider = createPrometheus({ address: server.address, secret });
  await provider.query("up");
  await provider.query("up");
  const passwords = server.seen.map(({ headers }) =>
    Buffer.from(headers.authorization?.slice(6) ?? "", "base64").toString(),
  );
  expect(passwords).toEqual(["u:p1", "u:p2"]);
});

test("what goes wrong is told apart and never rejects", async () => {
  using slow = await serve(() => undefined);
  using elsewhere = await serve((_, response) => response.end(ok));
  using redirecting = await serve((_, response) =>
    response.writeHead(302, { location: elsewhere.address }).end(),
  );
  using endless = await serve((_, response) =>
    response.end(`{"status":"success","data":"${"x".repeat(2_000_000)}"}`),
  );
  using html = await serve((_, response) => response.end("<html></html>"));
  const reason = async (options: Parameters<typeof createPrometheus>[0]): Promise<string> => {
    const answer = await createPrometheus(options).query("up");
    return answer.kind === "error" ? answer.reason : answer.kind;
  };
  expect(await reason({ address: slow.address, timeout: 150 })).toBe("no answer within 0.15 s");
  expect(await reason({ address: redirecting.address })).toBe(
    "it redirects (HTTP 302): name the final address",
  );
  expect(elsewhere.seen).toEqual([]);
  expect(await reason({ address: endless.address })).toMatch(/maxContentLength/);
  expect(await reason({ address: html.address })).toBe("HTTP 200 with a body that is not prometheus' json");
  expect(await reason({ address: "http://127.0.0.1:1" })).toMatch(/ECONNREFUSED/);
  expect(await reason({ address: html.address, secret: () => Promise.reject(new Error("forbidden")) })).toBe(
    "its secret cannot be read: forbidden",
  );
});

test("its name shows no password", () => {
  expect(createPrometheus({ address: "http://u:hidden@prometheus:9090" }).name).toBe(
    "prometheus http://u:***@prometheus:9090",
  );
});

test("TLS: a certificate that nobody vouches for is refused, unless the template skips its check", async () => {
  const root = createRoot("cluster.local", Date.now());
  const server = createHttpsServer({ cert: root.certificate, key: root.key }, (_, response) =>
    response.end(ok),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  const address = `https://127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`;
  try {
    const refused = await createPrometheus({ address }).query("up");
    expect(refused).toMatchObject({
      kind: "error",
      reason: expect.stringMatching(/certificate|self.signed/i),
    });
    const skipped = await createPrometheus({ address, insecureSkipVerify: true }).query("up");
    expect(skipped).toEqual({ kind: "no-data", reason: "the value is +Inf" });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
