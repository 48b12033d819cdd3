/** One request through two real sidecars is one trace at a Zipkin collector and at an OTLP one; logs and series as a Telemetry says. */
import { createServer, get, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../local/testing/until.ts";
import { envoyMissing } from "../support/envoy.ts";
import { type GatewayWorld, type Manifest, startGatewayWorld } from "./support/gateway-world.ts";
import { startZipkin, type ZipkinSpan, zipkinMissing } from "./support/zipkin.ts";

const net = 190 + (process.pid % 20);

function telemetry(name: string, spec: object): Manifest {
  return {
    apiVersion: "telemetry.istio.io/v1",
    kind: "Telemetry",
    metadata: { name, namespace: "demo", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec,
  };
}

const meshConfig: Manifest = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "istio", namespace: "istio-system" },
  data: {
    mesh: `
extensionProviders:
  - name: zipkin
    zipkin: { service: zipkin.demo.svc.cluster.local, port: 80 }
  - name: zipkin-server
    zipkin: { service: zipkin-server.demo.svc.cluster.local, port: 80 }
  - name: otlp
    opentelemetry: { service: otlp.demo.svc.cluster.local, port: 80, http: { path: /v1/traces } }
`,
  },
};

describe.skipIf(envoyMissing !== undefined)("tracing", () => {
  let world: GatewayWorld;
  let client: string;
  const servers: Server[] = [];
  const spans: ZipkinSpan[] = [];
  const exports: { readonly path: string; readonly body: Buffer }[] = [];

  /** A collector on an address of its own, with a Service in front. */
  async function collector(
    name: string,
    at: string,
    take: (path: string, body: Buffer) => void,
  ): Promise<void> {
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (chunk: Buffer) => parts.push(chunk));
      request.on("end", () => {
        take(request.url ?? "", Buffer.concat(parts));
        response.writeHead(202).end();
      });
    });
    await new Promise<void>((resolve) => server.listen(9411, at, resolve));
    servers.push(server);
    world.put(...world.service(name, at, 9411));
  }

  const ask = (headers: Record<string, string> = {}) =>
    new Promise<number>((resolve, reject) => {
      get(
        {
          host: client,
          port: 15080,
          path: "http://shop/",
          agent: false,
          timeout: 3_000,
          headers: { host: "shop", ...headers },
        },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      ).on("error", reject);
    });

  beforeAll(async () => {
    world = await startGatewayWorld(net);
    world.put(meshConfig);
    await collector("zipkin", `127.${net}.3.1`, (path, body) => {
      if (path === "/api/v2/spans") spans.push(...(JSON.parse(body.toString()) as ZipkinSpan[]));
    });
    await collector("otlp", `127.${net}.3.2`, (path, body) => exports.push({ path, body }));
    client = await world.sidecar("client");
    await world.sidecar("shop");
    await until("the shop answers", async () => (await ask().catch(() => 0)) === 200, 15_000);
  }, 60_000);

  afterAll(async () => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await world.stop();
  });

  test("Zipkin: both sidecars' spans are of one trace, the server's below the client's, with the user's tags", async () => {
    world.put(
      telemetry("traces", {
        tracing: [
          {
            providers: [{ name: "zipkin" }],
            randomSamplingPercentage: 100,
            customTags: {
              stage: { literal: { value: "test" } },
              who: { header: { name: "x-who", defaultValue: "nobody" } },
            },
          },
        ],
      }),
    );
    const pair = await until(
      "a trace of two spans",
      async () => {
        await ask({ "x-who": "me" });
        for (const server of spans.filter(({ kind }) => kind === "SERVER")) {
          const caller = spans.find(({ kind, id }) => kind === "CLIENT" && id === server.parentId);
          if (caller !== undefined) return { caller, server };
        }
        return undefined;
      },
      20_000,
    );
    expect(pair.server.traceId).toBe(pair.caller.traceId);
    expect(pair.server.tags).toMatchObject({ stage: "test", who: "me" });
    expect(pair.caller.tags?.upstream_cluster).toContain("shop.demo.svc.cluster.local");
  }, 30_000);

  test.skipIf(zipkinMissing !== undefined)(
    `a real Zipkin server shows one trace of both sidecars ${zipkinMissing ?? ""}`,
    async () => {
      const zipkin = await startZipkin();
      try {
        world.put(...world.service("zipkin-server", `127.${net}.3.3`, zipkin.port));
        world.put(
          telemetry("traces", {
            tracing: [{ providers: [{ name: "zipkin-server" }], randomSamplingPercentage: 100 }],
          }),
        );
        const { caller, server } = await until(
          "Zipkin has a trace of both",
          async () => {
            await ask();
            for (const trace of await zipkin.traces()) {
              const server = trace.find(({ kind }) => kind === "SERVER");
              const caller = trace.find(({ kind, id }) => kind === "CLIENT" && id === server?.parentId);
              if (server !== undefined && caller !== undefined) return { caller, server };
            }
            return undefined;
          },
          20_000,
        );
        expect(server.traceId).toBe(caller.traceId);
        expect(caller.localEndpoint?.serviceName).toBe("client.demo");
        expect(server.localEndpoint?.serviceName).toBe("shop.demo");
      } finally {
        await zipkin.stop();
      }
    },
    90_000,
  );

  test("OTLP over HTTP: a trace that the caller began goes on in both sidecars", async () => {
    world.put(
      telemetry("traces", { tracing: [{ providers: [{ name: "otlp" }], randomSamplingPercentage: 100 }] }),
    );
    const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    const id = Buffer.from(trace, "hex");
    const names = ["client.demo", "shop.demo"];
    await until(
      "both tell of it",
      async () => {
        await ask({ traceparent: `00-${trace}-00f067aa0ba902b7-01` });
        const told = exports.filter(({ path, body }) => path === "/v1/traces" && body.includes(id));
        return names.every((name) => told.some(({ body }) => body.includes(name)));
      },
      20_000,
    );
  }, 30_000);

  test("a provider that MeshConfig does not have is told, and nothing is traced by it", async () => {
    world.put(telemetry("traces", { tracing: [{ providers: [{ name: "nowhere" }] }] }));
    await until("it is told", () =>
      world.mesh
        .problems()
        .some(
          ({ field, resource }) =>
            resource.kind === "Telemetry" && field === "/spec/tracing/0/providers/0/name",
        ),
    );
    await world.settled();
    expect(await ask()).toBe(200);
  });
});
