/**
 * What went wrong elsewhere (S1-S29): most of it as cases for both engines in `test/cases/security.yaml`, which the tests
 * of the policy room run; here what no case can say.
 */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HttpFilterSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { envoyArguments } from "../../mesh/agent/envoy-process.ts";
import { compileCase } from "../../policy/cases/compile.ts";
import { evaluateCase } from "../../policy/cases/evaluator.ts";
import { type Case, readCases } from "../../policy/cases/read.ts";
import { KeyRing } from "../../policy/cases/token.ts";
import { wireOf } from "../../policy/cases/wire.ts";
import { httpFilters } from "../../policy/envoy/filters.ts";
import { startAuthorizers } from "../../policy/harness/authorizer.ts";
import { cluster, fileLog, httpManager } from "../../policy/harness/bootstrap.ts";
import { requestBytes } from "../../policy/harness/client.ts";
import { readable } from "../../policy/harness/readable.ts";
import { envoyMissing, freePort, type RunningEnvoy, startEnvoy } from "../support/envoy.ts";

const cases = readCases(readFileSync(join(import.meta.dirname, "../cases/security.yaml"), "utf8"));
const keys = new KeyRing();
const now = Math.floor(Date.now() / 1000);
const issuer = "https://idp.example";

test("each of S1 to S29 has a case or a test of its own", () => {
  const source = readFileSync(import.meta.filename, "utf8");
  const numbers = Array.from({ length: 29 }, (_, index) => `S${index + 1}`);
  const told = (number: string) =>
    cases.some(({ name }) => name.startsWith(`${number}/`)) || source.includes(`test("${number}: `);
  expect(numbers.filter((number) => !told(number))).toEqual([]);
});

describe.skipIf(envoyMissing)("on a real Envoy", () => {
  let folder: string;
  let port: number;
  let envoy: RunningEnvoy | undefined;
  const ends: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "fl-security-"));
    port = await freePort();
  });
  afterEach(async () => {
    await envoy?.stop();
    envoy = undefined;
    for (const end of ends.splice(0)) await end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** An Envoy that guards a direct answer by a case's policies. */
  async function guard(one: Case, clusters: readonly object[] = []): Promise<void> {
    const { policy } = compileCase(one, keys);
    const filters = httpFilters(policy).map((filter) => readable(HttpFilterSchema, filter));
    const log = fileLog(join(folder, "access.log"), {
      path: "%REQ(:PATH)%",
      host: "%REQ(:AUTHORITY)%",
      header: "%REQ(X-A)%",
      status: "%RESPONSE_CODE%",
    });
    const route = { match: { prefix: "/" }, directResponse: { status: 200 } };
    const manager = httpManager({ httpFilters: filters, manager: {}, route }, [log]);
    envoy = await startEnvoy({
      static_resources: {
        listeners: [
          {
            name: "guarded",
            address: { socketAddress: { address: "127.0.0.1", portValue: port } },
            filterChains: [{ filters: [manager] }],
          },
        ],
        clusters: [cluster("BlackHoleCluster", undefined), ...clusters],
      },
    });
  }

  /** The status of one HTTP/1.1 answer; 0 where the connection is closed without one. */
  async function status(bytes: Buffer | string): Promise<number> {
    const socket = connect(port, "127.0.0.1");
    socket.setTimeout(5000, () => socket.destroy());
    socket.write(bytes);
    let text = "";
    socket.on("data", (data) => {
      text += data.toString("latin1");
      if (text.includes("\r\n")) socket.destroy();
    });
    socket.on("error", () => undefined);
    await once(socket, "close");
    return Number(text.split(" ", 2)[1] ?? 0);
  }

  const get = (...headers: (readonly [string, string])[]) =>
    requestBytes("GET", "/", [["host", "a"], ...headers]);

  test("a policy of 5,000 rules is taken, and what is closed stays closed", async () => {
    const policy = (name: string, spec: object) => ({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name, namespace: "foo" },
      spec,
    });
    const rules = Array.from({ length: 5000 }, (_, index) => ({
      to: [{ operation: { paths: [`/p${index}`, `/q${index}/*`], methods: ["GET"] } }],
    }));
    const closed = { action: "DENY", rules: [{ to: [{ operation: { paths: ["/p7"] } }] }] };
    await guard({ name: "large", policies: [policy("large", { rules }), policy("closed", closed)] });
    const at = (path: string) => status(requestBytes("GET", path, [["host", "a"]]));
    expect(await Promise.all(["/p4999", "/q1/x", "/p7", "/other"].map(at))).toEqual([200, 200, 403, 403]);
  });

  test("S9: a field that an Envoy does not know is refused, and never passed over", async () => {
    const listener = (extra: object) => ({
      "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
      name: "guarded",
      address: { socketAddress: { address: "127.0.0.1", portValue: port } },
      filterChains: [
        {
          filters: [
            httpManager(
              {
                httpFilters: [
                  {
                    name: "envoy.filters.http.rbac",
                    typedConfig: {
                      "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                      rules: {
                        action: "DENY",
                        policies: {
                          p: { permissions: [{ any: true }], principals: [{ any: true }], ...extra },
                        },
                      },
                    },
                  },
                ],
                manager: {},
                route: { match: { prefix: "/" }, directResponse: { status: 200 } },
              },
              [],
            ),
          ],
        },
      ],
    });
    const file = join(folder, "lds.json");
    const flag = envoyArguments({ binary: "envoy", bootstrap: "x", concurrency: 1, logLevel: "info" });
    expect(flag).toContain("--reject-unknown-dynamic-fields");
    const started = async (extra: object) => {
      writeFileSync(file, JSON.stringify({ resources: [listener(extra)] }));
      envoy = await startEnvoy(
        {
          node: { id: "a", cluster: "a" },
          dynamic_resources: {
            lds_config: { path_config_source: { path: file }, resource_api_version: "V3" },
          },
        },
        15_000,
        ["--reject-unknown-dynamic-fields"],
      );
      const stats = await fetch(`http://${envoy.admin}/stats?filter=lds.update_rejected`);
      const rejected = await stats.text();
      const answered = rejected.trim().endsWith(": 0") ? await status(get()) : undefined;
      await envoy.stop();
      envoy = undefined;
      return [rejected.trim(), answered];
    };
    expect(await started({})).toEqual(["listener_manager.lds.update_rejected: 0", 403]);
    expect(await started({ aConditionOfTomorrow: { only: "sometimes" } })).toEqual([
      "listener_manager.lds.update_rejected: 1",
      undefined,
    ]);
  });

  test("S17: CONNECT without a path does not end an Envoy that asks an authorizer", async () => {
    const authorizers = await startAuthorizers();
    ends.push(() => authorizers.close());
    const providers = (spec: object) => [{ name: "authz", ...spec }];
    const service = { service: "authz.foo.svc.cluster.local", port: 9000 };
    for (const [spec, backend, http2] of [
      [{ envoyExtAuthzGrpc: service }, authorizers.grpc, true],
      [
        { envoyExtAuthzHttp: { ...service, includeRequestHeadersInCheck: ["x-ext-authz"] } },
        authorizers.http,
        false,
      ],
    ] as const) {
      const one: Case = {
        name: "S17",
        mesh: { extensionProviders: providers(spec) },
        policies: [
          {
            apiVersion: "security.istio.io/v1",
            kind: "AuthorizationPolicy",
            metadata: { name: "c", namespace: "foo" },
            spec: { action: "CUSTOM", provider: { name: "authz" }, rules: [{}] },
          },
        ],
      };
      port = await freePort();
      await guard(one, [cluster("outbound|9000||authz.foo.svc.cluster.local", backend, http2)]);
      expect(await status("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n")).not.toBe(200);
      const client = connectHttp2(`http://127.0.0.1:${port}`);
      client.on("error", () => undefined);
      const stream = client.request({ ":method": "CONNECT", ":authority": "a:80" });
      stream.on("error", () => undefined);
      await Promise.race([once(stream, "response"), once(stream, "close"), once(client, "close")]);
      client.destroy();
      expect(await status(get(["x-ext-authz", "allow"]))).toBe(200);
      expect(await status(get(["x-ext-authz", "deny"]))).toBe(403);
      await envoy?.stop();
      envoy = undefined;
    }
  });

  test("S19: line breaks reach no header and leave the log one line of JSON a request", async () => {
    await guard({ name: "S19" });
    const raw = [
      "GET /a%0d%0aX-B:1 HTTP/1.1\r\nhost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\rx-b: 2\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\nx-b: 2\r\n\r\n",
      'GET /"}\\u0022 HTTP/1.1\r\nhost: a\r\nx-a: "},{"\r\n\r\n',
      "GET / HTTP/1.1\r\nhost: a\u0001b\r\n\r\n",
    ];
    const answers: number[] = [];
    for (const bytes of raw) answers.push(await status(bytes));
    expect(answers.filter((answer) => ![200, 400].includes(answer))).toEqual([]);
    await fetch(`http://${envoy?.admin}/reopen_logs`, { method: "POST" });
    const lines = () => readFileSync(join(folder, "access.log"), "utf8").trim().split("\n");
    // Envoy writes its log by a thread of its own, after it has answered.
    await expect.poll(() => lines().length, { timeout: 10_000 }).toBe(answers.length);
    expect(lines().map((line) => Object.keys(JSON.parse(line) as object).length)).toEqual(
      answers.map(() => 4),
    );
  });

  test("S24: a place that a token names is never connected to", async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections += 1;
      socket.destroy();
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    ends.push(() => new Promise((done) => server.close(done)));
    const address = server.address();
    const place = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const one: Case = {
      name: "S24",
      requestAuthentication: [{ issuer, jwks: { keys: [{ ref: "rsa1", kid: "k1" }] } }],
      request: {
        tokens: [
          {
            key: "rsa9",
            header: { alg: "RS256", kid: "k2", jku: `${place}/keys`, x5u: `${place}/cert`, iss: place },
            claims: { iss: issuer, exp: "now+3600" },
          },
        ],
      },
    };
    await guard(one);
    const { wire } = wireOf(one, keys, now);
    expect(await status(requestBytes("GET", "/", wire.headers))).toBe(401);
    expect(evaluateCase(one, keys, now).status).toBe(401);
    expect(connections).toBe(0);
  });

  test("S25: where keys cannot be had no key stands in the configuration, least of all a private one", async () => {
    await guard({ name: "S25", requestAuthentication: [{ issuer, jwksUri: "https://idp.example/keys" }] });
    const dump = await (await fetch(`http://${envoy?.admin}/config_dump`)).text();
    expect(dump).toContain("jwt_authn");
    expect(dump).not.toMatch(/"local_jwks"|PRIVATE KEY|\\"d\\":|\\"kty\\"/);
  });
});
