import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { UnreadObject } from "../../api/resource.ts";
import { readEnvoy } from "../../cli/proxy/envoy-pages.ts";
import { createClient } from "../../kube/client.ts";
import { snapshotOf } from "../../kube/snapshot.ts";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing, freePort, type RunningEnvoy, startEnvoy } from "../../test/support/envoy.ts";
import { upstreamAttemptLogs } from "../build/attempt-log.ts";
import { createBuilder } from "../build/builder.ts";
import type { ResourceType } from "../build/resource.ts";
import { inboundAccessLogs, outboundAccessLogs } from "../build/telemetry.ts";
import { noPolicies } from "../build/workload-filters.ts";
import { defaultSettings, type Model } from "../model/model.ts";
import { type Proxy, readNode } from "../model/proxy.ts";
import { bootstrapFor } from "../testbed/ads-bootstrap.ts";
import { createTranslator } from "../translate/translate.ts";
import { createAds } from "../xds/ads.ts";
import { adsDefinition } from "../xds/definition.ts";
import { type GrpcServer, serveGrpc } from "../xds/serve.ts";
import { compareDump, compareRuntime } from "./compare.ts";
import type { EndpointsOf, ProxyDump, SyncStatus } from "./contract.ts";
import { debugPage } from "./pages.ts";

const demo = (name: string) => ({ name, namespace: "demo" });

function objects(port: number, key: string, certificate: string): readonly UnreadObject[] {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  return [
    {
      apiVersion: "networking.istio.io/v1",
      kind: "Gateway",
      metadata: demo("edge"),
      spec: {
        selector: { app: "edge" },
        servers: [
          {
            port: { number: port, name: "https", protocol: "HTTPS" },
            hosts: ["shop.example"],
            tls: { mode: "SIMPLE", credentialName: "shop-tls" },
          },
        ],
      },
    },
    {
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: demo("shop"),
      spec: {
        hosts: ["shop.example"],
        gateways: ["edge"],
        http: [
          { match: [{ uri: { prefix: "/" } }], timeout: "2s", route: [{ destination: { host: "shop" } }] },
        ],
      },
    },
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: demo("shop-tls"),
      data: { "tls.crt": base64(certificate), "tls.key": base64(key) },
    } as UnreadObject,
    // Its Envoy has no agent that gives it a certificate of its own.
    {
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: demo("shop"),
      spec: { host: "shop", trafficPolicy: { tls: { mode: "DISABLE" } } },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: demo("shop"),
      spec: { clusterIP: "10.96.0.10", selector: { app: "shop" }, ports: [{ name: "http", port: 80 }] },
    },
    {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...demo("shop-1"), labels: { "kubernetes.io/service-name": "shop" } },
      ports: [{ name: "http", port: 8080 }],
      endpoints: [{ addresses: ["10.1.0.1"] }, { addresses: ["10.1.0.2"] }],
    } as UnreadObject,
  ];
}

describe.skipIf(envoyMissing !== undefined)("the debug pages of a mesh with one real gateway", () => {
  const folder = mkdtempSync(join(tmpdir(), "fairlead-debug-"));
  const client = createClient({ url: "http://127.0.0.1:1" });
  let model: Model;
  let envoy: RunningEnvoy;
  let grpc: GrpcServer;
  let key: string;
  let ads: ReturnType<typeof createAds<Proxy>>;

  const page = <T>(path: string, query = ""): T => {
    const inspect = () =>
      Array.from(ads.connections(), ({ proxy, stream, since }) => ({
        proxy,
        since,
        stateOf: (type: ResourceType) => stream.stateOf(type),
        wanted: (type: ResourceType) => stream.wanted(type),
        refused: () => undefined,
      }));
    const { status, body } = debugPage(
      { inspect, model: () => model },
      `/debug/${path}`,
      new URLSearchParams(query),
    );
    return (status === 200 ? JSON.parse(body) : { status, body }) as T;
  };

  beforeAll(async () => {
    const [keyFile, certificateFile] = [join(folder, "key"), join(folder, "crt")];
    const subject = ["-subj", "/CN=shop.example", "-keyout", keyFile, "-out", certificateFile];
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...subject], {
      stdio: "ignore",
    });
    key = readFileSync(keyFile, "utf8");
    const port = await freePort();
    const written = objects(port, key, readFileSync(certificateFile, "utf8"));
    ({ model } = createTranslator(defaultSettings)(snapshotOf(written)));
    const builder = createBuilder({
      policyFilters: () => noPolicies,
      telemetry: { inboundAccessLogs, outboundAccessLogs, upstreamAttemptLogs },
    });
    const node = {
      id: "router~127.0.0.1~edge-1.demo~demo.svc.cluster.local",
      metadata: { LABELS: { app: "edge" }, INTERCEPTION_MODE: "NONE" },
    };
    const read = readNode(node);
    if ("refused" in read) throw new Error(read.refused);
    // Plaintext proves nobody, and keys go only to who has proven itself.
    const proxy: Proxy = { ...read, proven: true };
    ads = createAds<Proxy>({
      clock: systemClock,
      logger: silent,
      recognise: () => proxy,
      viewOf: () => builder.viewOf(model, proxy),
    });
    grpc = await serveGrpc({
      plaintext: { host: "127.0.0.1", port: 0 },
      services: [{ definition: adsDefinition, implementation: ads.implementation }],
    });
    const xdsPort = grpc.ports.plaintext ?? 0;
    envoy = await startEnvoy(bootstrapFor({ node: { ...node, cluster: "edge" }, xdsPort, layer: true }));
    await until(
      "the gateway holds its route",
      () => page<readonly SyncStatus[]>("syncz")[0]?.types.route?.held === 1,
    );
  }, 30_000);

  afterAll(async () => {
    await envoy?.stop();
    grpc?.close();
    await client.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test("syncz has a proxy with all that it asked for, synced", () => {
    const [status, ...others] = page<readonly SyncStatus[]>("syncz");
    expect(others).toEqual([]);
    expect(status).toMatchObject({ proxy: "demo/edge-1", kind: "router", synced: true });
    expect(Object.keys(status?.types ?? {}).sort()).toEqual([
      "cluster",
      "endpoint",
      "listener",
      "route",
      "runtime",
      "secret",
    ]);
    expect(status?.types.secret).toMatchObject({ synced: true, held: 1, lacking: [] });
  });

  test("config_dump never shows the key, and is what the real Envoy says it runs", async () => {
    const dump = page<ProxyDump>("config_dump", "proxyID=edge-1.demo");
    expect(JSON.stringify(dump)).not.toContain(key.split("\n")[1]);
    expect(dump.resources.secret).toMatchObject([
      { held: true, resource: { tlsCertificate: { privateKey: { inlineString: "[redacted]" } } } },
    ]);
    const { running, runtime } = await readEnvoy(client, "demo", "edge-1", `http://${envoy.admin}`);
    const differences = compareDump(dump, running);
    for (const type of ["cluster", "endpoint", "listener", "route", "secret"] as const) {
      expect({ type, ...differences[type] }).toMatchObject({ type, missing: [], extra: [], differing: [] });
      expect(differences[type]?.same).toBeGreaterThan(0);
    }
    expect(compareRuntime(dump, runtime ?? new Map())).toMatchObject({
      missing: [],
      extra: [],
      differing: [],
    });
  });

  test("endpointz has the endpoints of one proxy's clusters, or of all services", () => {
    const shop = [
      { address: "10.1.0.1", port: 8080, weight: 1 },
      { address: "10.1.0.2", port: 8080, weight: 1 },
    ];
    expect(page<readonly EndpointsOf[]>("endpointz", "proxyID=demo/edge-1")).toContainEqual({
      name: "outbound|80||shop.demo.svc.cluster.local",
      endpoints: shop,
    });
    expect(page<readonly EndpointsOf[]>("endpointz")).toEqual([
      { name: "shop.demo.svc.cluster.local:80", endpoints: shop },
    ]);
  });

  test("what cannot be answered says why", () => {
    expect(page("config_dump")).toMatchObject({ status: 400, body: expect.stringContaining("proxyID") });
    expect(page("config_dump", "proxyID=demo/edge-1&type=x")).toMatchObject({ status: 400 });
    expect(page("syncz", "proxyID=demo/nobody")).toEqual({
      status: 404,
      body: "no proxy `demo/nobody` is connected; there are demo/edge-1",
    });
  });
});
