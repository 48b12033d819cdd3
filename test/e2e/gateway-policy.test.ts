/** Policies at a gateway's proxy: whom they select there, tokens, and routes that ask for a token's claims. */
import { get } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { createPolicyFilters, policyKinds } from "../../mesh/policy-filters.ts";
import { KeyRing, makeToken } from "../../policy/cases/token.ts";
import { defaultMesh } from "../../policy/compile/mesh.ts";
import { envoyMissing } from "../support/envoy.ts";
import { type Echo, type GatewayWorld, type Manifest, startGatewayWorld } from "./support/gateway-world.ts";

const net = 170 + (process.pid % 20);
const labels = {
  istio: "ingressgateway",
  "gateway.networking.k8s.io/gateway-name": "front",
  "gateway.networking.k8s.io/gateway-class-name": "fairlead",
};
const issuer = "https://issuer.example.com";
const keys = new KeyRing();
const istio = (api: string, kind: string, name: string, spec: object, namespace = "demo"): Manifest => ({
  apiVersion: `${api}.istio.io/v1`,
  kind,
  metadata: { name, namespace },
  spec,
});
const targeting = (kind: string, name: string) => ({
  targetRefs: [{ group: kind === "Service" ? "" : "gateway.networking.k8s.io", kind, name }],
});
const denying = (path: string) => ({
  action: "DENY",
  rules: [{ to: [{ operation: { paths: [path] } }] }],
});
const claim = (name: string, match: object, destination: string) => ({
  match: [{ headers: { [`@request.auth.claims${name}`]: match } }],
  route: [{ destination: { host: destination } }],
});

function bearer(claims: object): string {
  const now = Math.floor(Date.now() / 1000);
  const all = { iss: issuer, sub: "ann", exp: now + 300, ...claims };
  return `Bearer ${makeToken({ key: "ec", header: { alg: "ES256", kid: "1" }, claims: all }, keys, now)}`;
}

describe.skipIf(envoyMissing !== undefined)("policies at a gateway", () => {
  let world: GatewayWorld;
  let ip: string;

  /** The status, and which service answered. */
  function ask(path: string, headers: Record<string, string> = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const options = { host: ip, port: 8080, path, agent: false, timeout: 5000 };
      get({ ...options, headers: { host: "shop.example.com", ...headers } }, (response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => {
          body += chunk.toString();
        });
        response.on("end", () => {
          const from = response.statusCode === 200 ? ` ${(JSON.parse(body) as Echo).from}` : "";
          resolve(`${response.statusCode}${from}`);
        });
      }).on("error", reject);
    });
  }

  beforeAll(async () => {
    const filters = createPolicyFilters({
      snapshot: () => world.informers.snapshot(),
      settings: () => defaultMesh,
    });
    world = await startGatewayWorld(net, { policyFilters: (proxy) => filters(proxy), policyKinds });
    for (const name of ["everybody", "editors", "gold", "guests"]) await world.backend(name);
    world.put(
      istio("networking", "Gateway", "edge", {
        selector: { istio: "ingressgateway" },
        servers: [{ port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["*"] }],
      }),
      istio("networking", "VirtualService", "shop", {
        hosts: ["shop.example.com"],
        gateways: ["edge"],
        http: [
          claim(".roles", { exact: "editor" }, "editors"),
          claim("[plan][name]", { prefix: "gold" }, "gold"),
          claim("[a.b][Role]", { prefix: "lead" }, "editors"),
          {
            match: [{ uri: { prefix: "/guest" }, withoutHeaders: { "@request.auth.claims.sub": {} } }],
            route: [{ destination: { host: "guests" } }],
          },
          { route: [{ destination: { host: "everybody" } }] },
        ],
      }),
      istio("security", "RequestAuthentication", "tokens", {
        selector: { matchLabels: { istio: "ingressgateway" } },
        jwtRules: [{ issuer, jwks: JSON.stringify({ keys: [keys.jwk({ ref: "ec", kid: "1" })] }) }],
      }),
      istio("security", "AuthorizationPolicy", "no-admin", {
        targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "front" }],
        action: "DENY",
        rules: [{ to: [{ operation: { paths: ["/admin*"] } }] }],
      }),
      istio("security", "AuthorizationPolicy", "staff-alone", {
        selector: { matchLabels: { istio: "ingressgateway" } },
        action: "DENY",
        rules: [
          {
            to: [{ operation: { hosts: ["shop.example.com"], paths: ["/staff*"] } }],
            when: [{ key: "request.auth.claims[group]", notValues: ["staff"] }],
          },
        ],
      }),
      istio("security", "AuthorizationPolicy", "not-here", {
        targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "back" }],
        action: "DENY",
        rules: [{}],
      }),
    );
    ip = await world.gateway("edge-proxy", labels);
    await until("it serves", () =>
      ask("/").then(
        (said) => said.startsWith("200"),
        () => false,
      ),
    );
    await world.settled();
  }, 60_000);
  afterAll(() => world.stop());

  test("a policy is in force where its `targetRefs` name the proxy's Gateway, and only there", async () => {
    expect(await ask("/admin/x")).toBe("403");
    expect(await ask("/other")).toBe("200 everybody");
    await until("the denial is in the log", () => world.log().includes('"path":"/admin/x"'));
    expect(world.log()).toContain("ns[demo]-policy[no-admin]-rule[0]");
  });

  test("a GatewayClass is meant from the root namespace alone, and a Service is no gateway", async () => {
    const byClass = istio(
      "security",
      "AuthorizationPolicy",
      "class-wide",
      { ...targeting("GatewayClass", "fairlead"), ...denying("/class") },
      "istio-system",
    );
    const others = [
      istio("security", "AuthorizationPolicy", "class-here", {
        ...targeting("GatewayClass", "fairlead"),
        ...denying("/here"),
      }),
      istio("security", "AuthorizationPolicy", "service", {
        ...targeting("Service", "everybody"),
        ...denying("/service"),
      }),
      istio(
        "security",
        "AuthorizationPolicy",
        "another-class",
        { ...targeting("GatewayClass", "another"), ...denying("/another") },
        "istio-system",
      ),
    ];
    world.put(...others, byClass);
    await until("the class's policy is in force", async () => (await ask("/class")) === "403");
    for (const path of ["/here", "/service", "/another"]) expect(await ask(path)).toBe("200 everybody");
    for (const policy of [byClass, ...others]) world.informers.remove(policy);
    await until("it is gone", async () => (await ask("/class")).startsWith("200"));
  });

  test("a policy that allows closes all else at the Gateway that it names", async () => {
    const allowing = (name: string, gateway: string) =>
      istio("security", "AuthorizationPolicy", name, {
        ...targeting("Gateway", gateway),
        action: "ALLOW",
        rules: [{ to: [{ operation: { paths: ["/open"] } }] }],
      });
    const [here, elsewhere] = [allowing("open", "front"), allowing("open-elsewhere", "back")];
    world.put(elsewhere);
    await world.settled();
    expect(await ask("/closed")).toBe("200 everybody");
    world.put(here);
    await until("it is in force", async () => (await ask("/closed")) === "403");
    expect(await ask("/open")).toBe("200 everybody");
    world.informers.remove(here);
    await until("it is gone", async () => (await ask("/closed")).startsWith("200"));
    world.informers.remove(elsewhere);
  });

  test("tokens are judged by a RequestAuthentication whose `targetRefs` name the Gateway", async () => {
    const jwks = JSON.stringify({ keys: [keys.jwk({ ref: "ec", kid: "1" })] });
    const judging = (name: string, gateway: string) =>
      istio("security", "RequestAuthentication", name, {
        ...targeting("Gateway", gateway),
        jwtRules: [
          { issuer: `https://${gateway}.example.com`, jwks, fromHeaders: [{ name: `x-${gateway}` }] },
        ],
      });
    const token = (gateway: string, sign = (text: string) => text) => ({
      [`x-${gateway}`]: sign(bearer({ iss: `https://${gateway}.example.com` }).slice("Bearer ".length)),
    });
    const broken = (text: string) => text.replace(/[^.]{20}$/, "A".repeat(20));
    const policies = [judging("at-front", "front"), judging("at-back", "back")];
    world.put(...policies);
    await until("it is in force", async () => (await ask("/", token("front", broken))) === "401");
    expect(await ask("/", token("front"))).toBe("200 everybody");
    expect(await ask("/", token("back", broken))).toBe("200 everybody");
    for (const policy of policies) world.informers.remove(policy);
    await until("it is gone", async () => (await ask("/", token("front", broken))).startsWith("200"));
  });

  test("a route is chosen by claims, as text or in a list, of verified tokens alone", async () => {
    const as = (claims: object) => ({ authorization: bearer(claims) });
    expect(await ask("/")).toBe("200 everybody");
    expect(await ask("/", as({}))).toBe("200 everybody");
    expect(await ask("/", as({ roles: "editor" }))).toBe("200 editors");
    expect(await ask("/", as({ roles: ["reader", "editor"] }))).toBe("200 editors");
    expect(await ask("/", as({ roles: ["reader"], plan: { name: "gold-2" } }))).toBe("200 gold");
    // A dot is part of a name in brackets, and so is its case.
    expect(await ask("/", as({ "a.b": { Role: "lead-2" } }))).toBe("200 editors");
    expect(await ask("/", as({ "a.b": { role: "lead-2" } }))).toBe("200 everybody");
    const forged = bearer({ roles: "editor" }).replace(/[^.]{20}$/, "A".repeat(20));
    expect(await ask("/", { authorization: forged })).toBe("401");
    expect(await ask("/", { "@request.auth.claims.roles": "editor" }).catch(() => "400")).not.toContain(
      "editors",
    );
  });

  test("a policy that denies all but a claim's value holds for requests without a token too", async () => {
    const as = (claims: object) => ({ authorization: bearer(claims) });
    expect(await ask("/staff")).toBe("403");
    expect(await ask("/staff", as({ group: "guests" }))).toBe("403");
    expect(await ask("/staff", as({ group: ["guests", "staff"] }))).toBe("200 everybody");
  });

  test("`withoutHeaders` with a claim is for requests whose token has none, or that have no token", async () => {
    expect(await ask("/guest")).toBe("200 guests");
    expect(await ask("/guest", { authorization: bearer({}) })).toBe("200 everybody");
  });
});
