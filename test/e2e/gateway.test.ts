/** Istio's Gateway on a real Envoy: TLS by server name, redirects, bytes passed on, policies, and what is wrong with one. */
import { rmSync } from "node:fs";
import { createServer, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { startService } from "../../mesh/testbed/service.ts";
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

const net = 150 + (process.pid % 20);
const labels = { istio: "ingressgateway" };
const shop = makeCertificate("shop.example.com");
const books = makeCertificate("books.example.com");
const raw = makeCertificate("raw.example.com");
const client = makeCertificate("client.example.com");

function gateway(name: string, servers: readonly object[]): Manifest {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    metadata: { name, namespace: "demo", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { selector: labels, servers },
  };
}

function virtualService(name: string, spec: object): Manifest {
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name, namespace: "demo" },
    spec,
  };
}

const https = (host: string, credentialName: string, more = {}) => ({
  port: { number: 8443, name: `https-${host.split(".")[0]}`, protocol: "HTTPS" },
  hosts: [host],
  tls: { mode: "SIMPLE", credentialName, ...more },
});

function ask(ip: string, port: number, host: string, path = "/", headers = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    get({ host: ip, port, path, agent: false, timeout: 5_000, headers: { host, ...headers } }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      );
      response.on("error", reject);
    }).on("error", reject);
  });
}

const from = ({ body }: Reply): string => (JSON.parse(body) as Echo).from;

describe.skipIf(envoyMissing !== undefined)("a gateway", () => {
  let world: GatewayWorld;
  let ip: string;
  let localPort: number;
  let local: Awaited<ReturnType<typeof startService>>;

  beforeAll(async () => {
    local = await startService(JSON.stringify({ from: "local" }));
    localPort = local.port;
    world = await startGatewayWorld(net);
    for (const name of ["shop", "books"]) await world.backend(name);
    await world.tlsBackend("raw", raw);
    world.put(
      tlsSecret("shop-cert", shop),
      tlsSecret("books-cert", books, { "ca.crt": Buffer.from(client.root).toString("base64") }),
      gateway("edge", [
        { port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["*.example.com"] },
        {
          port: { number: 8081, name: "plain", protocol: "HTTP" },
          hosts: ["*"],
          tls: { httpsRedirect: true },
        },
        https("shop.example.com", "shop-cert"),
        https("books.example.com", "books-cert", { mode: "MUTUAL" }),
        {
          port: { number: 8443, name: "tls-raw", protocol: "TLS" },
          hosts: ["raw.example.com"],
          tls: { mode: "PASSTHROUGH" },
        },
        { port: { number: 8090, name: "tcp", protocol: "TCP" }, hosts: ["*"] },
      ]),
      virtualService("shop", {
        hosts: ["shop.example.com"],
        gateways: ["edge"],
        http: [{ route: [{ destination: { host: "shop" } }] }],
      }),
      virtualService("books", {
        hosts: ["books.example.com"],
        gateways: ["edge"],
        http: [{ route: [{ destination: { host: "books" } }] }],
      }),
      virtualService("raw", {
        hosts: ["raw.example.com"],
        gateways: ["demo/edge"],
        tls: [
          {
            match: [{ port: 8443, sniHosts: ["raw.example.com"] }],
            route: [{ destination: { host: "raw" } }],
          },
        ],
        tcp: [{ match: [{ port: 8090 }], route: [{ destination: { host: "shop" } }] }],
      }),
    );
    ip = await world.gateway("edge-proxy", labels);
    await until(
      "it serves",
      async () => (await ask(ip, 8080, "shop.example.com").catch(() => undefined))?.status === 200,
      10_000,
    );
    await world.settled();
  }, 60_000);

  afterAll(async () => {
    await local.stop();
    await world.stop();
  });

  test("plain HTTP is routed by host, and a host that nobody has is 404", async () => {
    expect(from(await ask(ip, 8080, "shop.example.com"))).toBe("shop");
    expect(from(await ask(ip, 8080, "books.example.com:8080"))).toBe("books");
    expect((await ask(ip, 8080, "none.example.com")).status).toBe(404);
  });

  test("TLS is ended with the certificate of the server name", async () => {
    const reply = await askTls({ ip, port: 8443, name: "shop.example.com", root: shop.root });
    expect(from(reply)).toBe("shop");
    await expect(askTls({ ip, port: 8443, name: "other.example.com", root: shop.root })).rejects.toThrow();
  });

  test("MUTUAL lets in who shows a certificate of its roots, and the service is told whose", async () => {
    const to = { ip, port: 8443, name: "books.example.com", root: books.root };
    await expect(askTls(to)).rejects.toThrow();
    await expect(askTls({ ...to, client: shop })).rejects.toThrow();
    const reply = await askTls({ ...to, client });
    const { from: name, headers } = JSON.parse(reply.body) as Echo;
    expect(name).toBe("books");
    expect(headers["x-forwarded-client-cert"]).toContain("DNS=client.example.com");
  });

  test("PASSTHROUGH hands the bytes to the service, whose own certificate the client sees", async () => {
    await expect(peerOf(ip, 8443, "raw.example.com", raw.root)).resolves.toBe("raw");
  });

  test("AUTO_PASSTHROUGH hands the mesh's own TLS on by its server name, to pods with a sidecar alone", async () => {
    const named = (subset: string, name = "vault") =>
      `outbound_.443_.${subset}_.${name}.demo.svc.cluster.local`;
    const vault = makeCertificate(named(""), named("v1"), named("v2"), named("", "raw"));
    const address = await world.tlsBackend("vault", vault);
    const metadata = { name: "vault-1", namespace: "demo" };
    world.put(
      {
        ...{ apiVersion: "v1", kind: "Pod", spec: { serviceAccountName: "vault", containers: [] } },
        metadata: { ...metadata, labels: { version: "v1", "security.istio.io/tlsMode": "istio" } },
        status: { podIP: address },
      },
      {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { ...metadata, labels: { "kubernetes.io/service-name": "vault" } },
        ports: [{ name: "https", port: 8443 }],
        endpoints: [
          { addresses: [address], conditions: { ready: true }, targetRef: { kind: "Pod", ...metadata } },
        ],
      },
      {
        apiVersion: "networking.istio.io/v1",
        kind: "DestinationRule",
        metadata: { name: "vault", namespace: "demo" },
        spec: { host: "vault", subsets: ["v1", "v2"].map((name) => ({ name, labels: { version: name } })) },
      },
      gateway("east-west", [
        {
          port: { number: 15443, name: "tls", protocol: "TLS" },
          hosts: ["*.local"],
          tls: { mode: "AUTO_PASSTHROUGH" },
        },
      ]),
    );
    const reach = (name: string, protocol = "istio") =>
      peerOf(ip, 15443, name, vault.root, protocol).catch(() => "closed");
    await until("the Service is reached", async () => (await reach(named(""))) === "vault");
    expect(await reach(named("v1"))).toBe("vault");
    // No pod is of that subset; one has no sidecar; and what is not the mesh's own is not handed on.
    expect(await reach(named("v2"))).not.toBe("vault");
    expect(await reach(named("", "raw"))).not.toBe("raw");
    expect(await reach(named(""), "http/1.1")).toBe("closed");
  });

  test("a server on a Unix socket serves there", async () => {
    const socketPath = join(tmpdir(), `fairlead-edge-${process.pid}.sock`);
    world.put(
      gateway("socket", [
        {
          port: { number: 1, name: "http", protocol: "HTTP" },
          bind: `unix://${socketPath}`,
          hosts: ["shop.example.com"],
        },
      ]),
      virtualService("socket", {
        hosts: ["shop.example.com"],
        gateways: ["socket"],
        http: [{ route: [{ destination: { host: "shop" } }] }],
      }),
    );
    const asked = () =>
      new Promise<string>((resolve) => {
        get({ socketPath, agent: false, headers: { host: "shop.example.com" } }, async (response) =>
          resolve(response.statusCode === 200 ? await text(response) : ""),
        ).on("error", () => resolve(""));
      });
    const body = await until("it serves", async () => (await asked()) || undefined);
    expect((JSON.parse(body) as Echo).from).toBe("shop");
    rmSync(socketPath, { force: true });
  });

  test("httpsRedirect answers 301, whatever VirtualService there is", async () => {
    const reply = await ask(ip, 8081, "anything.example.org", "/a?b=c");
    expect(reply.status).toBe(301);
    expect(reply.headers.location).toBe("https://anything.example.org/a?b=c");
  });

  test("TCP goes by port", async () => {
    expect(from(await ask(ip, 8090, "no.matter"))).toBe("shop");
  });

  test("a new certificate is served without a new listener; a broken one is named, and the last good one stays", async () => {
    const renewed = makeCertificate("shop.example.com");
    world.put(tlsSecret("shop-cert", renewed));
    const to = { ip, port: 8443, name: "shop.example.com" };
    await until("the new one is shown", () =>
      askTls({ ...to, root: renewed.root }).then(
        () => true,
        () => false,
      ),
    );
    world.put(tlsSecret("shop-cert", { cert: renewed.cert, key: books.key }));
    await until("it is told", () => world.mesh.problems().length > 0);
    expect(world.mesh.problems()).toEqual([
      expect.objectContaining({
        resource: { kind: "Gateway", namespace: "demo", name: "edge" },
        field: "/spec/servers/2/tls/credentialName",
        message: "Secret `demo/shop-cert` has a key that is not its certificate's: what it held before stays",
      }),
    ]);
    await world.settled();
    expect(from(await askTls({ ...to, root: renewed.root }))).toBe("shop");
    await expect(peerOf(ip, 8443, "raw.example.com", raw.root)).resolves.toBe("raw");
    world.put(tlsSecret("shop-cert", shop));
    await until("it is served again", () =>
      askTls({ ...to, root: shop.root }).then(
        () => true,
        () => false,
      ),
    );
  });

  test("a certificate that was never good leaves its server out, and no other", async () => {
    const late = gateway("late", [https("late.example.com", "late-cert")]);
    world.put(tlsSecret("late-cert", { cert: shop.cert, key: books.key }), {
      ...late,
      metadata: { ...late.metadata, creationTimestamp: "2026-02-01T00:00:00Z" },
    });
    await until("it is told", () => world.mesh.problems().length > 0);
    expect(world.mesh.problems()).toMatchObject([
      {
        resource: { kind: "Gateway", namespace: "demo", name: "late" },
        field: "/spec/servers/0/tls/credentialName",
        message: "Secret `demo/late-cert` has a key that is not its certificate's: this server is left out",
      },
    ]);
    await world.settled();
    expect(from(await ask(ip, 8080, "shop.example.com"))).toBe("shop");
    await expect(askTls({ ip, port: 8443, name: "late.example.com", root: shop.root })).rejects.toThrow();
    await expect(peerOf(ip, 8443, "raw.example.com", raw.root)).resolves.toBe("raw");
    world.informers.remove(late);
  });

  test("a Gateway that takes an older one's name or port is told, and the older one serves on", async () => {
    const younger = gateway("younger", [
      https("shop.example.com", "books-cert"),
      { port: { number: 8080, name: "tcp", protocol: "TCP" }, hosts: ["*"] },
    ]);
    world.put({ ...younger, metadata: { ...younger.metadata, creationTimestamp: "2026-02-01T00:00:00Z" } });
    await until("both are told", () => world.mesh.problems().length === 2);
    expect(world.mesh.problems().map(({ field }) => field)).toEqual([
      "/spec/servers/0/hosts",
      "/spec/servers/1/port",
    ]);
    await world.settled();
    expect(from(await askTls({ ip, port: 8443, name: "shop.example.com", root: shop.root }))).toBe("shop");
    world.informers.remove(younger);
  });

  test("tokens are judged at the gateway, policies hold there, and routes follow a token's claims", async () => {
    const { publicKey, privateKey } = await generateKeyPair("RS256");
    const jwk = { ...(await exportJWK(publicKey)), kid: "k", alg: "RS256" };
    const token = (claims: Record<string, unknown>) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256", kid: "k" })
        .setIssuer("idp")
        .setExpirationTime("1h")
        .sign(privateKey);
    const security = (kind: string, name: string, spec: object): Manifest => ({
      apiVersion: "security.istio.io/v1",
      kind,
      metadata: { name, namespace: "demo" },
      spec: { selector: { matchLabels: labels }, ...spec },
    });
    world.put(
      security("RequestAuthentication", "idp", {
        jwtRules: [{ issuer: "idp", jwks: JSON.stringify({ keys: [jwk] }) }],
      }),
      security("AuthorizationPolicy", "no-admin", {
        action: "DENY",
        rules: [
          {
            to: [{ operation: { hosts: ["claims.example.com"], paths: ["/admin*"] } }],
            when: [{ key: "request.auth.claims[group]", notValues: ["staff"] }],
          },
        ],
      }),
      virtualService("claims", {
        hosts: ["claims.example.com"],
        gateways: ["edge"],
        http: [
          {
            match: [{ headers: { "@request.auth.claims.group": { exact: "staff" } } }],
            route: [{ destination: { host: "books" } }],
          },
          {
            match: [{ headers: { "@request.auth.claims[a.b][Role]": { prefix: "lead" } } }],
            route: [{ destination: { host: "books" } }],
          },
          { route: [{ destination: { host: "shop" } }] },
        ],
      }),
    );
    const asked = async (claims: Record<string, unknown> | undefined, path = "/") => {
      const bearer = claims === undefined ? {} : { authorization: `Bearer ${await token(claims)}` };
      return ask(ip, 8080, "claims.example.com", path, bearer);
    };
    await until("the policies are there", async () => (await asked(undefined, "/admin")).status === 403);
    await until("the routes are there", async () => (await asked(undefined)).status === 200);
    expect(from(await asked(undefined))).toBe("shop");
    expect(from(await asked({ group: "guests" }))).toBe("shop");
    expect(from(await asked({ group: "staff" }))).toBe("books");
    expect(from(await asked({ group: ["guests", "staff"] }))).toBe("books");
    expect(from(await asked({ "a.b": { Role: "lead-2" } }))).toBe("books");
    expect(from(await asked({ "a.b": { role: "lead-2" } }))).toBe("shop");
    expect((await asked({ group: "guests" }, "/admin")).status).toBe(403);
    expect((await asked({ group: "staff" }, "/admin")).status).toBe(200);
    const forged = { authorization: "Bearer e30.e30.e30" };
    expect((await ask(ip, 8080, "claims.example.com", "/", forged)).status).toBe(401);
  });

  test("ServiceEntries lead outside by address, by name, by Unix socket, and to WorkloadEntries; others are told apart", async () => {
    const at = await world.backend("outside");
    const socketPath = join(tmpdir(), `fairlead-outside-${process.pid}.sock`);
    const onSocket = createServer((_, response) => response.end(JSON.stringify({ from: "socket" })));
    await new Promise<void>((resolve) => onSocket.listen(socketPath, resolve));
    const entry = (name: string, spec: object): Manifest => ({
      apiVersion: "networking.istio.io/v1",
      kind: "ServiceEntry",
      metadata: { name, namespace: "demo" },
      spec: { ports: [{ number: 80, name: "http", protocol: "HTTP", targetPort: 8080 }], ...spec },
    });
    world.put(
      entry("static", { hosts: ["static.outside"], resolution: "STATIC", endpoints: [{ address: at }] }),
      entry("socket", {
        hosts: ["socket.outside"],
        resolution: "STATIC",
        endpoints: [{ address: `unix://${socketPath}` }],
      }),
      // A name that every machine resolves, to the loopback; the port is the endpoint's own.
      entry("dns", {
        hosts: ["dns.outside"],
        resolution: "DNS",
        endpoints: [{ address: "localhost", ports: { http: localPort } }],
      }),
      entry("dynamic", { hosts: ["*.localhost"], resolution: "DYNAMIC_DNS" }),
      virtualService("to-dynamic", {
        hosts: ["*.localhost"],
        gateways: ["outside"],
        http: [{ route: [{ destination: { host: "*.localhost", port: { number: 80 } } }] }],
      }),
      gateway("outside", [
        { port: { number: 8082, name: "http", protocol: "HTTP" }, hosts: ["*.localhost"] },
      ]),
      entry("chosen", {
        hosts: ["chosen.outside"],
        resolution: "STATIC",
        location: "MESH_INTERNAL",
        workloadSelector: { labels: { app: "machine" } },
      }),
      {
        apiVersion: "networking.istio.io/v1",
        kind: "WorkloadEntry",
        metadata: { name: "machine", namespace: "demo" },
        spec: { address: at, labels: { app: "machine" } },
      },
      ...["static", "dns", "chosen", "socket"].map((name) =>
        virtualService(`to-${name}`, {
          hosts: [`${name}.example.com`],
          gateways: ["edge"],
          http: [{ route: [{ destination: { host: `${name}.outside`, port: { number: 80 } } }] }],
        }),
      ),
    );
    for (const [name, answer] of [
      ["static", "outside"],
      ["chosen", "outside"],
      ["dns", "local"],
      ["socket", "socket"],
    ] as const) {
      const host = `${name}.example.com`;
      await until(`${name} answers`, async () => (await ask(ip, 8080, host)).status === 200);
      expect(from(await ask(ip, 8080, host))).toBe(answer);
    }
    // The name and the port are the request's own, and it is resolved when it comes.
    const named = `any.localhost:${localPort}`;
    await until(
      "the name is resolved",
      async () => (await ask(ip, 8082, named).catch(() => undefined))?.status === 200,
    );
    expect(from(await ask(ip, 8082, named))).toBe("local");
    onSocket.closeAllConnections();
    onSocket.close();
  });
});
