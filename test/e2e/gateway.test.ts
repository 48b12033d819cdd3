/** Istio's Gateway on a real Envoy: TLS by server name, redirects, bytes passed on, and one that takes another's place. */
import { rmSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import {
  askTls,
  type Echo,
  type GatewayWorld,
  makeCertificate,
  peerOf,
  startGatewayWorld,
  tlsSecret,
} from "./support/gateway-world.ts";
import {
  ask,
  books,
  from,
  gateway,
  https,
  labels,
  raw,
  shop,
  virtualService,
} from "./support/istio-gateway.ts";

const net = 150 + (process.pid % 20);
const client = makeCertificate("client.example.com");

describe.skipIf(envoyMissing !== undefined)("a gateway", () => {
  let world: GatewayWorld;
  let ip: string;

  beforeAll(async () => {
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

  afterAll(() => world?.stop());

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
});
