/** Certificates of gateways' servers on a real Envoy: renewed, broken, and never good. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import {
  askTls,
  type GatewayWorld,
  makeCertificate,
  peerOf,
  startGatewayWorld,
  tlsSecret,
} from "./support/gateway-world.ts";
import { books, from, gateway, https, labels, raw, shop, virtualService } from "./support/istio-gateway.ts";

const net = 190 + (process.pid % 20);

describe.skipIf(envoyMissing !== undefined)("a gateway's certificates", () => {
  let world: GatewayWorld;
  let ip: string;

  beforeAll(async () => {
    world = await startGatewayWorld(net);
    await world.backend("shop");
    await world.tlsBackend("raw", raw);
    world.put(
      tlsSecret("shop-cert", shop),
      gateway("edge", [
        https("shop.example.com", "shop-cert"),
        {
          port: { number: 8443, name: "tls-raw", protocol: "TLS" },
          hosts: ["raw.example.com"],
          tls: { mode: "PASSTHROUGH" },
        },
      ]),
      virtualService("shop", {
        hosts: ["shop.example.com"],
        gateways: ["edge"],
        http: [{ route: [{ destination: { host: "shop" } }] }],
      }),
      virtualService("raw", {
        hosts: ["raw.example.com"],
        gateways: ["edge"],
        tls: [{ match: [{ sniHosts: ["raw.example.com"] }], route: [{ destination: { host: "raw" } }] }],
      }),
    );
    ip = await world.gateway("edge-proxy", labels);
    await until("it serves", () =>
      askTls({ ip, port: 8443, name: "shop.example.com", root: shop.root }).then(
        ({ status }) => status === 200,
        () => false,
      ),
    );
    await world.settled();
  }, 60_000);

  afterAll(() => world?.stop());

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
        field: "/spec/servers/0/tls/credentialName",
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
    expect(from(await askTls({ ip, port: 8443, name: "shop.example.com", root: shop.root }))).toBe("shop");
    await expect(askTls({ ip, port: 8443, name: "late.example.com", root: shop.root })).rejects.toThrow();
    await expect(peerOf(ip, 8443, "raw.example.com", raw.root)).resolves.toBe("raw");
    world.informers.remove(late);
  });
});
