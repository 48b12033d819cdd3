/** The Gateway API on a real Envoy; what is claimed of it stands in docs/gateway-api.md. */

import { request } from "node:http";
import { connect } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import {
  askTls,
  type Echo,
  type GatewayWorld,
  type Manifest,
  makeCertificate,
  peerOf,
  type Reply,
  startGatewayWorld,
  tlsSecret,
} from "./support/gateway-world.ts";

const net = 170 + (process.pid % 20);
const group = "gateway.networking.k8s.io";
const cert = makeCertificate("shop.example.com");
const wild = makeCertificate("*.example.com");
const raw = makeCertificate("raw.example.com");

function object(kind: string, name: string, spec: object, more: object = {}): Manifest {
  return {
    apiVersion: `${group}/v1`,
    kind,
    metadata: { name, namespace: "demo", creationTimestamp: "2026-01-01T00:00:00Z", ...more },
    spec,
  };
}

const parent = (sectionName: string) => [{ name: "edge", sectionName }];
const to = (name: string, more: object = {}) => ({ name, port: 80, ...more });

function route(name: string, hostnames: string[], rules: object[], sectionName = "http"): Manifest {
  return object("HTTPRoute", name, { parentRefs: parent(sectionName), hostnames, rules });
}

const gateway = object("Gateway", "edge", {
  gatewayClassName: "fairlead",
  listeners: [
    { name: "http", port: 8080, protocol: "HTTP" },
    { name: "narrow", port: 8080, protocol: "HTTP", hostname: "*.narrow.example.com" },
    {
      name: "https",
      port: 8443,
      protocol: "HTTPS",
      hostname: "shop.example.com",
      tls: { certificateRefs: [{ name: "shop-cert" }] },
    },
    {
      name: "wild",
      port: 8443,
      protocol: "HTTPS",
      hostname: "*.example.com",
      tls: { certificateRefs: [{ name: "wild-cert" }] },
    },
    { name: "raw", port: 8443, protocol: "TLS", hostname: "raw.example.com", tls: { mode: "Passthrough" } },
    { name: "tcp", port: 8090, protocol: "TCP" },
    { name: "broken", port: 8444, protocol: "HTTPS", tls: { certificateRefs: [{ name: "missing" }] } },
  ],
});

function ask(
  ip: string,
  host: string,
  path = "/",
  headers: Record<string, string> = {},
  method = "GET",
  port = 8080,
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const asked = request(
      { host: ip, port, path, method, agent: false, headers: { host, ...headers } },
      (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
        );
        response.on("error", reject);
      },
    );
    asked.setTimeout(5_000, () => asked.destroy(new Error("no answer")));
    asked.on("error", reject);
    asked.end();
  });
}

const echo = ({ body }: Reply): Echo => JSON.parse(body) as Echo;

describe.skipIf(envoyMissing !== undefined)("the Gateway API", () => {
  let world: GatewayWorld;
  let ip: string;
  const from = async (...args: Parameters<typeof ask> extends [string, ...infer Rest] ? Rest : never) =>
    echo(await ask(ip, ...args)).from;
  /** Applies routes and waits until every proxy holds them. */
  const serve = async (...routes: readonly Manifest[]) => {
    world.put(...routes);
    await until("the routes are there", () =>
      routes.every((one) =>
        world.mesh.model().routes.some(({ source }) => source.name === one.metadata.name),
      ),
    );
    await world.settled();
  };
  const conditions = (name: string) =>
    Object.fromEntries(
      (
        world.mesh.gatewayApi().statuses.routes.find(({ route: ref }) => ref.name === name)?.parents ?? []
      ).flatMap(({ conditions: all }) =>
        all.map(({ type, status, reason }) => [type, `${status} ${reason}`]),
      ),
    );

  beforeAll(async () => {
    world = await startGatewayWorld(net);
    for (const name of ["a", "b", "c"]) await world.backend(name);
    await world.tlsBackend("raw", raw);
    world.put(
      {
        apiVersion: `${group}/v1`,
        kind: "GatewayClass",
        metadata: { name: "fairlead" },
        spec: { controllerName: "fairlead.dev/gateway" },
      },
      tlsSecret("shop-cert", cert),
      tlsSecret("wild-cert", wild),
      gateway,
      route("first", ["first.example.com"], [{ backendRefs: [to("a")] }]),
    );
    ip = await world.gateway("edge-proxy", { "gateway.networking.k8s.io/gateway-name": "edge" });
    await until(
      "it serves",
      async () => (await ask(ip, "first.example.com").catch(() => undefined))?.status === 200,
      10_000,
    );
  }, 60_000);

  afterAll(() => world.stop());

  test("matches: path segments, exact, regex, method, headers and query parameters, by precedence", async () => {
    const match = (one: object, name: string) => ({ matches: [one], backendRefs: [to(name)] });
    await serve(
      route(
        "match",
        ["match.example.com"],
        [
          match({ path: { type: "PathPrefix", value: "/" } }, "a"),
          match({ path: { type: "PathPrefix", value: "/foo" } }, "b"),
          match({ path: { type: "Exact", value: "/foo/exact" } }, "c"),
          match({ path: { type: "RegularExpression", value: "/x[0-9]+" } }, "c"),
          match({ path: { type: "PathPrefix", value: "/foo" }, method: "POST" }, "c"),
          match(
            { path: { type: "PathPrefix", value: "/foo" }, headers: [{ name: "X-Color", value: "blue" }] },
            "c",
          ),
          match(
            { path: { type: "PathPrefix", value: "/foo" }, queryParams: [{ name: "q", value: "1" }] },
            "a",
          ),
        ],
      ),
    );
    const host = "match.example.com";
    expect(await from(host, "/")).toBe("a");
    expect(await from(host, "/foo")).toBe("b");
    expect(await from(host, "/foo/bar")).toBe("b");
    expect(await from(host, "/foobar")).toBe("a");
    expect(await from(host, "/foo/exact")).toBe("c");
    expect(await from(host, "/foo", {}, "POST")).toBe("c");
    expect(await from(host, "/foo", { "x-color": "blue" })).toBe("c");
    expect(await from(host, "/foo?q=1")).toBe("a");
    // A regular expression stands below every prefix, and `/` takes all.
    expect(await from(host, "/x1")).toBe("a");
  });

  test("weights: the share is the weight's; 0 takes nothing", async () => {
    await serve(
      route(
        "weights",
        ["weights.example.com"],
        [{ backendRefs: [to("a", { weight: 3 }), to("b", { weight: 1 }), to("c", { weight: 0 })] }],
      ),
    );
    const counts = new Map<string, number>();
    for (let asked = 0; asked < 400; asked += 20) {
      const names = await Promise.all(Array.from({ length: 20 }, () => from("weights.example.com")));
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.get("c")).toBeUndefined();
    // Four standard deviations of 400 draws.
    expect(Math.abs((counts.get("a") ?? 0) / 400 - 0.75)).toBeLessThan(0.09);
  });

  test("filters: headers of requests and answers, at the rule and at the backend", async () => {
    await serve(
      route(
        "headers",
        ["headers.example.com"],
        [
          {
            filters: [
              {
                type: "RequestHeaderModifier",
                requestHeaderModifier: {
                  set: [{ name: "x-set", value: "1" }],
                  add: [{ name: "x-add", value: "2" }],
                  remove: ["x-gone"],
                },
              },
              {
                type: "ResponseHeaderModifier",
                responseHeaderModifier: { set: [{ name: "x-answer", value: "3" }] },
              },
            ],
            backendRefs: [
              to("a", {
                filters: [
                  {
                    type: "RequestHeaderModifier",
                    requestHeaderModifier: { set: [{ name: "x-backend", value: "4" }] },
                  },
                ],
              }),
            ],
          },
        ],
      ),
    );
    const reply = await ask(ip, "headers.example.com", "/", { "x-gone": "here", "x-add": "0" });
    const { headers } = echo(reply);
    expect(headers).toMatchObject({ "x-set": "1", "x-backend": "4" });
    expect(headers["x-add"]?.toString().replace(" ", "")).toBe("0,2");
    expect(headers["x-gone"]).toBeUndefined();
    expect(reply.headers["x-answer"]).toBe("3");
  });

  test("redirects: scheme, hostname, port, path and prefix", async () => {
    const rule = (value: string, requestRedirect: object) => ({
      matches: [{ path: { type: "PathPrefix", value } }],
      filters: [{ type: "RequestRedirect", requestRedirect }],
    });
    await serve(
      route(
        "redirect",
        ["redirect.example.com"],
        [
          rule("/scheme", { scheme: "https", statusCode: 301 }),
          rule("/host", { hostname: "other.example.com" }),
          rule("/port", { port: 8181 }),
          rule("/full", { path: { type: "ReplaceFullPath", replaceFullPath: "/new" } }),
          rule("/old", { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new" }, statusCode: 308 }),
          rule("/strip", { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } }),
        ],
      ),
    );
    const where = async (path: string) => {
      const { status, headers } = await ask(ip, "redirect.example.com:8080", path);
      return `${status} ${headers.location}`;
    };
    expect(await where("/scheme/x")).toBe("301 https://redirect.example.com/scheme/x");
    expect(await where("/host")).toBe("302 http://other.example.com:8080/host");
    expect(await where("/port")).toBe("302 http://redirect.example.com:8181/port");
    expect(await where("/full/x")).toBe("302 http://redirect.example.com:8080/new");
    expect(await where("/old/x")).toBe("308 http://redirect.example.com:8080/new/x");
    expect(await where("/strip/x")).toBe("302 http://redirect.example.com:8080/x");
  });

  test("rewrites: host, whole path and prefix", async () => {
    const rule = (value: string, urlRewrite: object) => ({
      matches: [{ path: { type: "PathPrefix", value } }],
      filters: [{ type: "URLRewrite", urlRewrite }],
      backendRefs: [to("a")],
    });
    await serve(
      route(
        "rewrite",
        ["rewrite.example.com"],
        [
          rule("/host", { hostname: "inner.example.com" }),
          rule("/full", { path: { type: "ReplaceFullPath", replaceFullPath: "/one" } }),
          rule("/old", { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/new/" } }),
          rule("/strip", { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } }),
        ],
      ),
    );
    const seen = async (path: string) => echo(await ask(ip, "rewrite.example.com", path));
    expect((await seen("/host")).host).toBe("inner.example.com");
    expect((await seen("/full/x?q=1")).path).toBe("/one?q=1");
    expect((await seen("/old/x")).path).toBe("/new/x");
    expect((await seen("/old")).path).toBe("/new");
    expect((await seen("/strip")).path).toBe("/");
    expect((await seen("/strip/x")).path).toBe("/x");
  });

  test("a mirror gets a copy, and a request's timeout is 504", async () => {
    const asked: string[] = [];
    const { createServer } = await import("node:http");
    const shadow = createServer(({ url }, response) => {
      asked.push(url ?? "");
      // Never answers `/slow`.
      if (url !== "/slow") response.end();
    });
    const at = `127.${net}.3.1`;
    await new Promise<void>((resolve) => shadow.listen(8080, at, resolve));
    world.put(...world.service("shadow", at, 8080));
    await serve(
      route(
        "mirror",
        ["mirror.example.com"],
        [
          {
            matches: [{ path: { value: "/slow" } }],
            timeouts: { request: "200ms" },
            backendRefs: [to("shadow")],
          },
          {
            filters: [{ type: "RequestMirror", requestMirror: { backendRef: to("shadow") } }],
            backendRefs: [to("a")],
          },
        ],
      ),
    );
    expect(await from("mirror.example.com", "/copied")).toBe("a");
    await until("the copy comes", () => asked.includes("/copied"));
    expect((await ask(ip, "mirror.example.com", "/slow")).status).toBe(504);
    shadow.closeAllConnections();
    shadow.close();
  });

  test("cors: a preflight of an allowed origin is answered", async () => {
    await serve(
      route(
        "cors",
        ["cors.example.com"],
        [
          {
            filters: [
              {
                type: "CORS",
                cors: { allowOrigins: ["https://*.trusted.com"], allowMethods: ["PUT"], maxAge: 60 },
              },
            ],
            backendRefs: [to("a")],
          },
        ],
      ),
    );
    const preflight = (origin: string) =>
      ask(ip, "cors.example.com", "/", { origin, "access-control-request-method": "PUT" }, "OPTIONS");
    expect((await preflight("https://x.trusted.com")).headers["access-control-allow-origin"]).toBe(
      "https://x.trusted.com",
    );
    expect((await preflight("https://evil.com")).headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("a backend that does not exist keeps its share as 500, needs a grant in another namespace, and is told", async () => {
    const foreign = { name: "a", namespace: "elsewhere", port: 80 };
    await serve(
      route("missing", ["missing.example.com"], [{ backendRefs: [to("nobody")] }]),
      route("ungranted", ["ungranted.example.com"], [{ backendRefs: [foreign] }]),
      route("empty", ["empty.example.com"], [{}]),
    );
    for (const name of ["missing", "ungranted", "empty"])
      expect((await ask(ip, `${name}.example.com`)).status).toBe(500);
    expect(conditions("missing")).toEqual({
      Accepted: "True Accepted",
      ResolvedRefs: "False BackendNotFound",
    });
    expect(conditions("ungranted")).toEqual({
      Accepted: "True Accepted",
      ResolvedRefs: "False RefNotPermitted",
    });
    const moved = world
      .service("a", `127.${net}.2.1`, 8080)
      .map((one): Manifest => ({ ...one, metadata: { ...one.metadata, namespace: "elsewhere" } }));
    world.put(
      ...moved,
      object(
        "ReferenceGrant",
        "let",
        { from: [{ group, kind: "HTTPRoute", namespace: "demo" }], to: [{ group: "", kind: "Service" }] },
        { namespace: "elsewhere" },
      ),
    );
    await until("it is granted", async () => (await ask(ip, "ungranted.example.com")).status === 200);
    expect(conditions("ungranted").ResolvedRefs).toBe("True ResolvedRefs");
  });

  test("routes attach where listeners allow it: names, namespaces and hostnames", async () => {
    world.put(
      object("HTTPRoute", "no-listener", { parentRefs: parent("nowhere"), rules: [] }),
      route("no-host", ["other.org"], [], "https"),
      object(
        "HTTPRoute",
        "foreign",
        { parentRefs: [{ name: "edge", namespace: "demo" }], rules: [] },
        { namespace: "other" },
      ),
    );
    await until("they are judged", () => conditions("foreign").Accepted !== undefined);
    expect(conditions("no-listener").Accepted).toBe("False NoMatchingParent");
    expect(conditions("no-host").Accepted).toBe("False NoMatchingListenerHostname");
    expect(conditions("foreign").Accepted).toBe("False NotAllowedByListeners");
  });

  test("a listener that cannot be served is told, the others serve", () => {
    const [status] = world.mesh.gatewayApi().statuses.gateways;
    const of = (name: string) =>
      Object.fromEntries(
        status?.listeners
          .find((one) => one.name === name)
          ?.conditions.map((one) => [one.type, `${one.status} ${one.reason}`]) ?? [],
      );
    expect(of("broken")).toMatchObject({
      Accepted: "True Accepted",
      ResolvedRefs: "False InvalidCertificateRef",
      Programmed: "False Invalid",
    });
    expect(of("https")).toMatchObject({ ResolvedRefs: "True ResolvedRefs", Programmed: "True Programmed" });
    expect(status?.accepted.reason).toBe("ListenersNotValid");
    expect(status?.listeners.find(({ name }) => name === "http")?.attachedRoutes).toBeGreaterThan(3);
  });

  test("listeners of one port are isolated: the most exact name has a host to itself", async () => {
    await serve(
      route("wide", ["a.narrow.example.com", "b.example.com"], [{ backendRefs: [to("a")] }]),
      route(
        "narrow",
        ["*.narrow.example.com"],
        [{ matches: [{ path: { value: "/b" } }], backendRefs: [to("b")] }],
        "narrow",
      ),
    );
    expect(await from("b.example.com")).toBe("a");
    expect(await from("a.narrow.example.com", "/b")).toBe("b");
    expect((await ask(ip, "a.narrow.example.com", "/")).status).toBe(404);
  });

  test("HTTPS by server name; a request for another listener's host on the connection is 421", async () => {
    await serve(
      route("shop", ["shop.example.com"], [{ backendRefs: [to("a")] }], "https"),
      route("rest", ["rest.example.com"], [{ backendRefs: [to("b")] }], "wild"),
    );
    const at = { ip, port: 8443, name: "shop.example.com", root: cert.root };
    expect(echo(await askTls(at)).from).toBe("a");
    expect(echo(await askTls({ ...at, name: "rest.example.com", root: wild.root })).from).toBe("b");
    expect((await askTls({ ...at, host: "rest.example.com" })).status).toBe(421);
    expect((await askTls({ ...at, host: "nobody.org" })).status).toBe(404);
  });

  test("TLSRoute passes the bytes on by server name, TCPRoute by port", async () => {
    await serve(
      object("TLSRoute", "raw", {
        parentRefs: parent("raw"),
        hostnames: ["raw.example.com"],
        rules: [{ backendRefs: [{ name: "raw", port: 443 }] }],
      }),
      object("TCPRoute", "tcp", { parentRefs: parent("tcp"), rules: [{ backendRefs: [to("c")] }] }),
    );
    await expect(peerOf(ip, 8443, "raw.example.com", raw.root)).resolves.toBe("raw");
    expect(echo(await ask(ip, "any", "/", {}, "GET", 8090)).from).toBe("c");
  });

  test("GRPCRoute: by service and method", async () => {
    const { createServer } = await import("node:http2");
    const served: string[] = [];
    const grpc = createServer();
    grpc.on("stream", (stream, headers) => {
      served.push(String(headers[":path"]));
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end();
    });
    const at = `127.${net}.3.2`;
    await new Promise<void>((resolve) => grpc.listen(8080, at, resolve));
    world.put(...world.service("grpc", at, 8080, { portName: "grpc" }));
    await serve(
      object("GRPCRoute", "grpc", {
        parentRefs: parent("http"),
        hostnames: ["grpc.example.com"],
        rules: [
          { matches: [{ method: { service: "shop.Cart", method: "Add" } }], backendRefs: [to("grpc")] },
        ],
      }),
    );
    const session = connect(`http://${ip}:8080`);
    const call = (path: string) =>
      new Promise<string>((resolve, reject) => {
        const stream = session.request({
          ":path": path,
          ":method": "POST",
          ":authority": "grpc.example.com",
          "content-type": "application/grpc",
          te: "trailers",
        });
        let status = "";
        stream.on("response", (headers) => {
          status = String(headers["grpc-status"] ?? "");
        });
        stream.on("trailers", (trailers) => {
          status = String(trailers["grpc-status"]);
        });
        stream.on("close", () => resolve(status));
        stream.on("error", reject);
        stream.resume();
        stream.end();
      });
    expect(await call("/shop.Cart/Add")).toBe("0");
    expect(served).toEqual(["/shop.Cart/Add"]);
    // Nobody has it: gRPC's unimplemented.
    expect(await call("/shop.Cart/Drop")).toBe("12");
    session.close();
    grpc.close();
  });

  test("BackendTLSPolicy: the gateway speaks TLS to the Service and judges its certificate", async () => {
    await serve(route("secure", ["secure.example.com"], [{ backendRefs: [{ name: "raw", port: 443 }] }]));
    const policy = (hostname: string) =>
      object("BackendTLSPolicy", "raw", {
        targetRefs: [{ group: "", kind: "Service", name: "raw" }],
        validation: { hostname, caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "raw-roots" }] },
      });
    world.put(
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "raw-roots", namespace: "demo" },
        data: { "ca.crt": raw.root },
      },
      policy("raw.example.com"),
    );
    await until("it is answered over TLS", async () => (await ask(ip, "secure.example.com")).body === "raw");
    world.put(policy("wrong.example.com"));
    await until(
      "another name is not taken",
      async () => (await ask(ip, "secure.example.com")).status === 503,
    );
    expect(
      world.mesh.gatewayApi().statuses.policies[0]?.ancestors[0]?.conditions.map(({ reason }) => reason),
    ).toEqual(["Accepted", "ResolvedRefs"]);
  });

  test("backends that ask for a certificate are shown the Gateway's own", async () => {
    const client = makeCertificate("edge.example.com");
    const guarded = makeCertificate("guarded.example.com");
    await world.tlsBackend("guarded", guarded, client.root);
    const configMap = (name: string, root: string): Manifest => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "demo" },
      data: { "ca.crt": root },
    });
    const withClient = (clientCertificateRef: object): Manifest => ({
      ...gateway,
      spec: { ...Object(gateway.spec), tls: { backend: { clientCertificateRef } } },
    });
    const resolved = () => world.mesh.gatewayApi().statuses.gateways[0]?.resolved;
    world.put(
      configMap("guarded-roots", guarded.root),
      object("BackendTLSPolicy", "guarded", {
        targetRefs: [{ group: "", kind: "Service", name: "guarded" }],
        validation: {
          hostname: "guarded.example.com",
          caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "guarded-roots" }],
        },
      }),
    );
    await serve(
      route("guarded", ["guarded.example.com"], [{ backendRefs: [{ name: "guarded", port: 443 }] }]),
    );
    const asked = async () => ask(ip, "guarded.example.com");
    await until("who shows nothing is turned away", async () => (await asked()).status === 503);
    world.put(tlsSecret("edge-client", client), withClient({ name: "edge-client" }));
    await until("the certificate is taken", async () => (await asked()).body === "guarded");
    expect(resolved()).toMatchObject({ status: "True" });
    // A broken one does not take its place, and another namespace's needs a grant.
    world.put(tlsSecret("edge-client", { cert: client.cert, key: guarded.key }));
    await until("it is told", () => resolved()?.status === "False");
    expect(resolved()).toMatchObject({
      reason: "InvalidClientCertificateRef",
      message: "Secret `edge-client` has a key that is not its certificate's: what it held before stays",
    });
    await world.settled();
    expect((await asked()).body).toBe("guarded");
    world.put(withClient({ name: "edge-client", namespace: "elsewhere" }));
    await until("it is told", () => resolved()?.reason === "RefNotPermitted");
    await until("nothing is shown any more", async () => (await asked()).status === 503);
    world.put(gateway);
    await until("nothing is named", () => resolved()?.status === "True");
  });
});
