/** HTTPRoutes of the Gateway API on a real Envoy; what is claimed of it stands in docs/gateway-api.md. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { type Edge, echo, group, object, route, startEdge, to } from "./support/gateway-edge.ts";
import type { Manifest } from "./support/gateway-world.ts";

const net = 170 + (process.pid % 10);

describe.skipIf(envoyMissing !== undefined)("HTTPRoutes", () => {
  let edge: Edge;

  beforeAll(async () => {
    edge = await startEdge(net);
  }, 60_000);

  afterAll(() => edge?.world.stop());

  test("matches: path segments, exact, regex, method, headers and query parameters, by precedence", async () => {
    const match = (one: object, name: string) => ({ matches: [one], backendRefs: [to(name)] });
    await edge.serve(
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
    expect(await edge.from(host, "/")).toBe("a");
    expect(await edge.from(host, "/foo")).toBe("b");
    expect(await edge.from(host, "/foo/bar")).toBe("b");
    expect(await edge.from(host, "/foobar")).toBe("a");
    expect(await edge.from(host, "/foo/exact")).toBe("c");
    expect(await edge.from(host, "/foo", {}, "POST")).toBe("c");
    expect(await edge.from(host, "/foo", { "x-color": "blue" })).toBe("c");
    expect(await edge.from(host, "/foo?q=1")).toBe("a");
    // A regular expression stands below every prefix, and `/` takes all.
    expect(await edge.from(host, "/x1")).toBe("a");
  });

  test("weights: the share is the weight's; 0 takes nothing", async () => {
    await edge.serve(
      route(
        "weights",
        ["weights.example.com"],
        [{ backendRefs: [to("a", { weight: 3 }), to("b", { weight: 1 }), to("c", { weight: 0 })] }],
      ),
    );
    const counts = new Map<string, number>();
    for (let asked = 0; asked < 400; asked += 20) {
      const names = await Promise.all(Array.from({ length: 20 }, () => edge.from("weights.example.com")));
      for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    expect(counts.get("c")).toBeUndefined();
    // Four standard deviations of 400 draws.
    expect(Math.abs((counts.get("a") ?? 0) / 400 - 0.75)).toBeLessThan(0.09);
  });

  test("filters: headers of requests and answers, at the rule and at the backend", async () => {
    await edge.serve(
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
    const reply = await edge.ask("headers.example.com", "/", { "x-gone": "here", "x-add": "0" });
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
    await edge.serve(
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
      const { status, headers } = await edge.ask("redirect.example.com:8080", path);
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
    await edge.serve(
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
    const seen = async (path: string) => echo(await edge.ask("rewrite.example.com", path));
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
    edge.world.put(...edge.world.service("shadow", at, 8080));
    await edge.serve(
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
    expect(await edge.from("mirror.example.com", "/copied")).toBe("a");
    await until("the copy comes", () => asked.includes("/copied"));
    expect((await edge.ask("mirror.example.com", "/slow")).status).toBe(504);
    shadow.closeAllConnections();
    shadow.close();
  });

  test("several mirrors get their shares of copies, a try's timeout is 504, and what fails is tried again", async () => {
    const { createServer } = await import("node:http");
    const counts = new Map<string, number>();
    const servers = ["all", "some"].map((name, index) => {
      const server = createServer(({ url = "" }, response) => {
        const seen = (counts.get(name + url) ?? 0) + 1;
        counts.set(name + url, seen);
        if (url === "/slow") return;
        response.writeHead(url === "/flaky" && seen % 3 !== 0 ? 503 : 200).end();
      });
      const at = `127.${net}.3.${11 + index}`;
      edge.world.put(...edge.world.service(name, at, 8080));
      return new Promise<typeof server>((resolve) => server.listen(8080, at, () => resolve(server)));
    });
    const mirrorTo = (name: string, percent: number) => ({
      type: "RequestMirror",
      requestMirror: { backendRef: to(name), percent },
    });
    const started = await Promise.all(servers);
    await edge.serve(
      route(
        "tries",
        ["tries.example.com"],
        [
          {
            name: "copies",
            matches: [{ path: { value: "/copied" } }],
            filters: [mirrorTo("all", 100), mirrorTo("some", 30)],
            backendRefs: [to("a")],
          },
          {
            matches: [{ path: { value: "/slow" } }],
            timeouts: { request: "5s", backendRequest: "200ms" },
            backendRefs: [to("all")],
          },
          { retry: { codes: [503], attempts: 2, backoff: "10ms" }, backendRefs: [to("all")] },
        ],
      ),
    );
    for (let asked = 0; asked < 300; asked += 20)
      await Promise.all(Array.from({ length: 20 }, () => edge.ask("tries.example.com", "/copied")));
    await until("all copies", () => counts.get("all/copied") === 300);
    // Four standard deviations of 300 draws.
    expect(Math.abs((counts.get("some/copied") ?? 0) / 300 - 0.3)).toBeLessThan(0.11);
    expect((await edge.ask("tries.example.com", "/slow")).status).toBe(504);
    expect((await edge.ask("tries.example.com", "/flaky")).status).toBe(200);
    expect(counts.get("all/flaky")).toBe(3);
    for (const server of started) {
      server.closeAllConnections();
      server.close();
    }
  });

  test("cors: a preflight of an allowed origin is answered", async () => {
    await edge.serve(
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
      edge.ask("cors.example.com", "/", { origin, "access-control-request-method": "PUT" }, "OPTIONS");
    expect((await preflight("https://x.trusted.com")).headers["access-control-allow-origin"]).toBe(
      "https://x.trusted.com",
    );
    expect((await preflight("https://evil.com")).headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("cors with credentials: what a preflight asks for is named, as browsers take no `*`", async () => {
    const any = { allowOrigins: ["*"], allowMethods: ["*"], allowHeaders: ["*"], exposeHeaders: ["*"] };
    await edge.serve(
      route(
        "cors-any",
        ["any.example.com"],
        [{ filters: [{ type: "CORS", cors: { ...any, allowCredentials: true } }], backendRefs: [to("a")] }],
      ),
    );
    const asked = { "access-control-request-method": "PUT", "access-control-request-headers": "x-a,x-b" };
    const { headers } = await edge.ask(
      "any.example.com",
      "/",
      { origin: "https://one.example.com", ...asked },
      "OPTIONS",
    );
    expect(headers).toMatchObject({
      "access-control-allow-origin": "https://one.example.com",
      "access-control-allow-credentials": "true",
      "access-control-allow-methods": "PUT",
      "access-control-allow-headers": "x-a,x-b",
    });
  });

  test("a filter of one backend that is not carried out makes its share 500, and is told", async () => {
    const mirror = { type: "RequestMirror", requestMirror: { backendRef: to("b") } };
    const extension = {
      type: "ExtensionRef",
      extensionRef: { group: "example.com", kind: "Filter", name: "own" },
    };
    const only = (path: string, ...backendRefs: object[]) => ({
      matches: [{ path: { value: path } }],
      backendRefs,
    });
    await edge.serve(
      route(
        "refused",
        ["refused.example.com"],
        [
          only("/mirror", to("a", { filters: [mirror] })),
          only("/extension", to("a", { filters: [extension] })),
          only("/beside", to("a", { filters: [mirror], weight: 0 }), to("b")),
        ],
      ),
    );
    for (const path of ["/mirror", "/extension"])
      expect((await edge.ask("refused.example.com", path)).status).toBe(500);
    expect(await edge.from("refused.example.com", "/beside")).toBe("b");
    expect(edge.conditions("refused")).toEqual({
      Accepted: "True Accepted",
      ResolvedRefs: "False InvalidKind",
      PartiallyInvalid: "True UnsupportedValue",
    });
  });

  test("a backend that does not exist keeps its share as 500, needs a grant in another namespace, and is told", async () => {
    const foreign = { name: "a", namespace: "elsewhere", port: 80 };
    await edge.serve(
      route("missing", ["missing.example.com"], [{ backendRefs: [to("nobody")] }]),
      route("ungranted", ["ungranted.example.com"], [{ backendRefs: [foreign] }]),
      route("empty", ["empty.example.com"], [{}]),
    );
    for (const name of ["missing", "ungranted", "empty"])
      expect((await edge.ask(`${name}.example.com`)).status).toBe(500);
    expect(edge.conditions("missing")).toEqual({
      Accepted: "True Accepted",
      ResolvedRefs: "False BackendNotFound",
    });
    expect(edge.conditions("ungranted")).toEqual({
      Accepted: "True Accepted",
      ResolvedRefs: "False RefNotPermitted",
    });
    const moved = edge.world
      .service("a", `127.${net}.2.1`, 8080)
      .map((one): Manifest => ({ ...one, metadata: { ...one.metadata, namespace: "elsewhere" } }));
    edge.world.put(
      ...moved,
      object(
        "ReferenceGrant",
        "let",
        { from: [{ group, kind: "HTTPRoute", namespace: "demo" }], to: [{ group: "", kind: "Service" }] },
        { namespace: "elsewhere" },
      ),
    );
    await until("it is granted", async () => (await edge.ask("ungranted.example.com")).status === 200);
    expect(edge.conditions("ungranted").ResolvedRefs).toBe("True ResolvedRefs");
  });
});
