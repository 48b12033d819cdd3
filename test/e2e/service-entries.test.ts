/** ServiceEntries behind a gateway on a real Envoy: what stands outside, by each way to name it. */
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { startService } from "../../mesh/testbed/service.ts";
import { envoyMissing } from "../support/envoy.ts";
import { type GatewayWorld, type Manifest, startGatewayWorld } from "./support/gateway-world.ts";
import { ask, from, gateway, labels, virtualService } from "./support/istio-gateway.ts";

const net = 210 + (process.pid % 20);

describe.skipIf(envoyMissing !== undefined)("ServiceEntries", () => {
  let world: GatewayWorld;
  let ip: string;
  let localPort: number;
  let local: Awaited<ReturnType<typeof startService>>;

  beforeAll(async () => {
    local = await startService(JSON.stringify({ from: "local" }));
    localPort = local.port;
    world = await startGatewayWorld(net);
    world.put(
      gateway("edge", [{ port: { number: 8080, name: "http", protocol: "HTTP" }, hosts: ["*.example.com"] }]),
    );
    ip = await world.gateway("edge-proxy", labels);
  }, 60_000);

  afterAll(async () => {
    await local?.stop();
    await world?.stop();
  });

  test("lead outside by address, by name, by Unix socket, and to WorkloadEntries; others are told apart", async () => {
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
      await until(
        `${name} answers`,
        async () => (await ask(ip, 8080, host).catch(() => undefined))?.status === 200,
      );
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
