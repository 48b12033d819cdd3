/** Clients that are not ours: gRPC's own xDS clients, and an Envoy with the bootstrap of another mesh's agent. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { Metadata, Server, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { KubeObject } from "../../api/resource.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { until } from "../../local/testing/until.ts";
import type { Mesh } from "../../mesh/contract.ts";
import { startMesh } from "../../mesh/start.ts";
import { bootstrapFor } from "../../mesh/testbed/ads-bootstrap.ts";
import { createMemoryInformers } from "../../mesh/testbed/informers.ts";
import { startService } from "../../mesh/testbed/service.ts";
import { rawMethod } from "../../mesh/xds/raw-method.ts";
import { type GrpcServer, serveGrpc } from "../../mesh/xds/serve.ts";
import { envoyMissing, freePort, startEnvoy } from "../support/envoy.ts";

const run = promisify(execFile);
const hasGo = await run("go", ["version"]).then(
  () => true,
  () => false,
);
const folder = mkdtempSync(join(tmpdir(), "fairlead-foreign-"));
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const informers = createMemoryInformers([]);
let mesh: Mesh;
let ads: GrpcServer;

beforeAll(async () => {
  const ports = { v1: await startHealth("v1"), v2: await startHealth("v2") };
  for (const object of [...service("health", "grpc", ports), ...service("web", "http", await startWebs())])
    informers.put(object);
  // No certificates are served here: Envoy would wait for them.
  informers.put({
    ...{ apiVersion: "security.istio.io/v1", kind: "PeerAuthentication" },
    metadata: { name: "default", namespace: "istio-system" },
    spec: { mtls: { mode: "DISABLE" } },
  } as KubeObject);
  weights("health", 0);
  weights("web", 0);
  mesh = await startMesh({ informers, clock: systemClock, logger: silent, removalDelay: 100 });
  ads = await serveGrpc({ plaintext: { host: "127.0.0.1", port: 0 }, services: mesh.services });
});

afterAll(async () => {
  mesh.close();
  ads.close();
  for (const end of ends.reverse()) await end();
});

/** A gRPC server that answers health checks and says its version. */
async function startHealth(version: string): Promise<number> {
  const server = new Server();
  server.addService(
    {
      Check: rawMethod("/grpc.health.v1.Health/Check", { requestStream: false, responseStream: false }),
    },
    {
      Check(call: { sendMetadata(metadata: Metadata): void }, answer: (error: null, bytes: Buffer) => void) {
        const metadata = new Metadata();
        metadata.set("version", version);
        call.sendMetadata(metadata);
        // HealthCheckResponse.status (1) = SERVING
        answer(null, Buffer.from([0x08, 0x01]));
      },
    },
  );
  ends.push(() => server.forceShutdown());
  return new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
}

async function startWebs(): Promise<{ v1: number; v2: number }> {
  const [one, two] = [await startService("v1"), await startService("v2")];
  ends.push(
    () => one.stop(),
    () => two.stop(),
  );
  return { v1: one.port, v2: two.port };
}

/** A Service and one for each of its versions. */
function service(name: string, protocol: string, ports: { v1: number; v2: number }): KubeObject[] {
  return [name, `${name}-v1`, `${name}-v2`].flatMap((own, index) => [
    {
      ...{ apiVersion: "v1", kind: "Service", metadata: { name: own, namespace: "demo" } },
      spec: { clusterIP: `10.96.${name.length}.${index + 1}`, ports: [{ name: protocol, port: 80 }] },
    },
    {
      ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: "IPv4" },
      metadata: { name: `${own}-1`, namespace: "demo", labels: { "kubernetes.io/service-name": own } },
      ports: [{ name: protocol, port: own.endsWith("2") ? ports.v2 : ports.v1 }],
      endpoints: [{ addresses: ["127.0.0.1"], conditions: { ready: true } }],
    },
  ]);
}

function weights(name: string, second: number): void {
  const to = (version: string, weight: number) => ({ destination: { host: `${name}-${version}` }, weight });
  informers.put({
    ...{ apiVersion: "networking.istio.io/v1", kind: "VirtualService" },
    metadata: { name, namespace: "demo" },
    spec: { hosts: [name], http: [{ route: [to("v1", 100 - second), to("v2", second)] }] },
  } as KubeObject);
}

function grpcBootstrap(): string {
  const file = join(folder, `bootstrap-${Math.random()}.json`);
  const server = {
    server_uri: `127.0.0.1:${ads.ports.plaintext}`,
    channel_creds: [{ type: "insecure" }],
    server_features: ["xds_v3"],
  };
  const node = {
    id: "sidecar~10.1.0.9~caller-1.demo~demo.svc.cluster.local",
    locality: {},
    metadata: { GENERATOR: "grpc", NAMESPACE: "demo" },
  };
  writeFileSync(file, JSON.stringify({ xds_servers: [server], node }));
  return file;
}

/** What a client that prints a version a call has printed last. */
function follow(
  command: string,
  args: readonly string[],
): { last(count: number): string[]; errors(): string } {
  const child: ChildProcess = spawn(command, args, {
    env: { ...process.env, GRPC_XDS_BOOTSTRAP: grpcBootstrap() },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  let errors = "";
  if (child.stdout) createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  child.stderr?.on("data", (bytes: Buffer) => {
    errors = (errors + bytes.toString()).slice(-2000);
  });
  ends.push(() => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    return ended;
  });
  return { last: (count) => lines.slice(-count), errors: () => errors };
}

const target = "xds:///health.demo.svc.cluster.local:80";

/** The client finds the service, splits by weight, and follows the weight to the other version. */
async function expectToFollow(client: ReturnType<typeof follow>): Promise<void> {
  const all = (version: string) => () => {
    const last = client.last(10);
    return last.length === 10 && last.every((line) => line === version);
  };
  weights("health", 0);
  await until("all by v1", all("v1"), 20_000).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${client.last(3).join()} ${client.errors()}`);
  });
  weights("health", 50);
  await until(
    "both versions",
    () => new Set(client.last(10)).size === 2 && !client.last(10).includes("error"),
    10_000,
  );
  weights("health", 100);
  await until("all by v2", all("v2"), 10_000);
  expect(client.errors()).not.toMatch(/NACK|invalid|unsupported/i);
  expect(mesh.withdrawals()).toEqual([]);
}

test("the xDS client of grpc-js resolves a service and follows its weights", { timeout: 60_000 }, () =>
  expectToFollow(
    follow(process.execPath, [join(import.meta.dirname, "../foreign/grpc-js/client.ts"), target]),
  ),
);

test.skipIf(!hasGo)(
  "the xDS client of grpc-go resolves a service and follows its weights (needs Go)",
  { timeout: 240_000 },
  async () => {
    const binary = join(folder, "client");
    await run("go", ["build", "-o", binary, "."], { cwd: join(import.meta.dirname, "../foreign/grpc-go") });
    await expectToFollow(follow(binary, [target]));
  },
);

test.skipIf(envoyMissing !== undefined)(
  "an Envoy with an Istio-style bootstrap serves, by delta and by state of the world",
  { timeout: 60_000 },
  async () => {
    for (const form of ["DELTA_GRPC", "GRPC"]) {
      const port = await freePort();
      const node = {
        id: "sidecar~127.0.0.1~legacy-1.demo~demo.svc.cluster.local",
        cluster: "legacy.demo",
        metadata: { INTERCEPTION_MODE: "NONE", HTTP_PROXY_PORT: String(port), ISTIO_VERSION: "1.30.0" },
      };
      const bootstrap = bootstrapFor({ node, xdsPort: ads.ports.plaintext ?? 0, layer: false });
      const text = JSON.stringify(bootstrap).replace('"DELTA_GRPC"', `"${form}"`);
      const envoy = await startEnvoy(JSON.parse(text) as Record<string, unknown>);
      try {
        weights("web", 0);
        await until("v1", async () => (await ask(port)) === "v1", 10_000);
        weights("web", 100);
        await until("v2", async () => (await ask(port)) === "v2", 10_000);
        weights("web", 0);
        await until("v1", async () => (await ask(port)) === "v1", 10_000);
        expect(mesh.withdrawals()).toEqual([]);
      } finally {
        await envoy.stop();
      }
    }
  },
);

function ask(port: number): Promise<string> {
  return new Promise((resolve) => {
    get(
      { host: "127.0.0.1", port, path: "http://web/", headers: { host: "web" }, agent: false },
      (answer) => {
        let body = "";
        answer.on("data", (bytes: Buffer) => {
          body += bytes.toString();
        });
        answer.on("end", () => resolve(body));
      },
    ).on("error", () => resolve(""));
  });
}
