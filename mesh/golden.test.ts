import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import type { KubeObject } from "../api/resource.ts";
import { snapshotOf } from "../kube/snapshot.ts";
import { makeCertificate } from "../test/e2e/support/gateway-world.ts";
import { envoyBinary, envoyMissing } from "../test/support/envoy.ts";
import { upstreamAttemptLogs } from "./build/attempt-log.ts";
import { createBuilder } from "./build/builder.ts";
import { readableResource } from "./build/readable.ts";
import { type Resource, resourceTypes } from "./build/resource.ts";
import type { Layers } from "./build/resource-set.ts";
import { inboundAccessLogs, outboundAccessLogs } from "./build/telemetry.ts";
import { noPolicies, type Telemetry } from "./build/workload-filters.ts";
import { defaultSettings, type MeshSettings } from "./model/model.ts";
import { readNode } from "./model/proxy.ts";
import { SharedMap } from "./model/shared-map.ts";
import { createTranslator } from "./translate/translate.ts";

const cases = globSync(join(import.meta.dirname, "testdata/*.in.yaml")).toSorted();
const silentTelemetry = {
  inboundAccessLogs: () => [],
  outboundAccessLogs: () => [],
  upstreamAttemptLogs: () => [],
};
const fullTelemetry = { inboundAccessLogs, outboundAccessLogs, upstreamAttemptLogs };

type Node = Parameters<typeof readNode>[0];

/** A case: the proxy's node in the first document (beside it the mesh's settings that differ), manifests in the others. */
function readCase(path: string) {
  const [first, ...objects] = parseAllDocuments(readFileSync(path, "utf8")).map((document): unknown =>
    document.toJS(),
  );
  const proxy = readNode(first as Node);
  if ("refused" in proxy) throw new Error(proxy.refused);
  const { settings } = first as { readonly settings?: Partial<MeshSettings> };
  const translate = createTranslator({ ...defaultSettings, ...settings });
  const { model, problems, gatewayApi } = translate(snapshotOf(objects as KubeObject[]));
  const { statuses } = gatewayApi;
  return { proxy: { ...proxy, proven: true }, model, problems: problems(), statuses };
}

function build(path: string, telemetry: Telemetry = silentTelemetry) {
  const { proxy, model } = readCase(path);
  return createBuilder({ policyFilters: () => noPolicies, telemetry }).viewOf(model, proxy);
}

function resourcesOf(layers: Layers): Resource[] {
  return layers.flatMap((set) => [...set.values()]);
}

/** Maps as objects, absent fields left out. */
function plain(value: unknown): unknown {
  if (value instanceof Map || value instanceof SharedMap)
    return Object.fromEntries([...value].map(([key, entry]) => [String(key), plain(entry)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries.map(([key, entry]) => [key, plain(entry)]));
}

const yamlOptions = { aliasDuplicateObjects: false, lineWidth: 0 } as const;

test.for(cases.map((path) => [basename(path, ".in.yaml"), path] as const))(
  "%s: manifests to model",
  async ([, path]) => {
    const { model, problems, statuses } = readCase(path);
    const { settings: _, credentials: _keys, ...parts } = model;
    // Of the Gateway API's objects alone.
    const told = Object.values(statuses).some((some) => some.length > 0) ? { statuses } : {};
    await expect(stringify(plain({ ...parts, problems, ...told }), yamlOptions)).toMatchFileSnapshot(
      resolve(path.replace(".in.", ".model.")),
    );
  },
);

test.for(cases.map((path) => [basename(path, ".in.yaml"), path] as const))(
  "%s: model to Envoy's resources",
  async ([, path]) => {
    const { resources, plainRoutes } = build(path);
    const readable = Object.fromEntries(
      resourceTypes
        .filter((type) => type !== "secret")
        .map((type) => [type, resourcesOf(resources[type]).map(readableResource)]),
    );
    const plainTables = resourcesOf(plainRoutes).map(readableResource);
    // Written only where a live canary makes the two differ.
    const output = isDeepStrictEqual(plainTables, readable.route)
      ? readable
      : { ...readable, plainRoute: plainTables };
    await expect(stringify(output, yamlOptions)).toMatchFileSnapshot(
      resolve(path.replace(".in.", ".envoy.")),
    );
  },
);

test("there are at least 15 cases", () => expect(cases.length).toBeGreaterThanOrEqual(15));

test.skipIf(envoyMissing !== undefined)("a real Envoy loads every case", { timeout: 90_000 }, () => {
  const statics: { listeners: JsonValue[]; clusters: JsonValue[] } = { listeners: [], clusters: [] };
  for (const [index, path] of cases.entries()) {
    const { resources, plainRoutes } = build(path, fullTelemetry);
    const named = (resource: Resource) => ({
      ...asObject(readableResource(resource)),
      name: `${index} ${resource.name}`,
    });
    for (const [number, resource] of resourcesOf(resources.listener).entries()) {
      // Several cases have the same pod: each listener gets an address of its own.
      const address = { socketAddress: { address: `127.78.${index}.${number + 1}`, portValue: 1 } };
      statics.listeners.push({ ...named(resource), address });
    }
    statics.clusters.push(...resourcesOf(resources.cluster).map(named));
    for (const resource of resourcesOf(resources.endpoint))
      statics.clusters.push(staticCluster(`${index} endpoints ${resource.name}`, resource));
    for (const [kind, tables] of [
      ["runtime", resources.route],
      ["plain", plainRoutes],
    ] as const) {
      for (const table of resourcesOf(tables))
        statics.listeners.push(tableListener(`${index} ${kind} ${table.name}`, table));
    }
  }
  for (const entry of [...statics.listeners, ...statics.clusters]) delete asObject(entry)["@type"];
  const folder = mkdtempSync(join(tmpdir(), "fairlead-golden-"));
  try {
    // Files that a case names stand in this folder.
    const { cert, key, root } = makeCertificate("client.example");
    const files = {
      "client.pem": cert,
      "client-key.pem": key,
      "roots.pem": root,
      "revoked.pem": revocations,
    };
    for (const [name, pem] of Object.entries(files)) writeFileSync(join(folder, name), pem);
    const config = JSON.stringify(bootstrap(statics)).replaceAll("/etc/certificates/", `${folder}/`);
    writeFileSync(join(folder, "bootstrap.json"), config);
    const run = () =>
      execFileSync(envoyBinary, ["--mode", "validate", "-l", "error", "-c", join(folder, "bootstrap.json")], {
        stdio: "pipe",
        encoding: "utf8",
      });
    expect(run()).toContain("OK");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A list of revoked certificates that is empty and good until 2126, as openssl made it. */
const revocations = `-----BEGIN X509 CRL-----
MIGwMFcCAQEwCgYIKoZIzj0EAwIwFjEUMBIGA1UEAwwLR29sZGVuIHJvb3QXDTI2
MTEyMTIxMjIzMFoYDzIxMjYxMDI4MjEyMjMwWqAOMAwwCgYDVR0UBAMCAQEwCgYI
KoZIzj0EAwIDSQAwRgIhAL76g9d5aONwyULmmUagvD1lFs6CU0QPJ7pnm+mHTgr3
AiEAqH6eDooztiNaHZPEp4VHvsE3GgXoj9VEwCJDFnem1I0=
-----END X509 CRL-----
`;

function asObject(value: JsonValue): Record<string, JsonValue> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("not an object");
  return value;
}

/** A cluster that carries the endpoints itself, so that Envoy reads them. */
function staticCluster(name: string, endpoints: Resource): JsonValue {
  const { "@type": _, ...assignment } = asObject(readableResource(endpoints));
  return { name, type: "STATIC", connectTimeout: "1s", loadAssignment: { ...assignment, clusterName: name } };
}

/** A listener that carries the route table itself. */
function tableListener(name: string, table: Resource): JsonValue {
  const { "@type": _, ...routeConfig } = asObject(readableResource(table));
  const router = { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" };
  const filter = (kind: string, typedConfig: JsonValue) => ({ name: kind, typedConfig });
  const fault = { "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault" };
  return {
    name,
    address: { socketAddress: { address: "127.0.0.1", portValue: 0 } },
    filterChains: [
      {
        filters: [
          filter("envoy.filters.network.http_connection_manager", {
            "@type":
              "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            statPrefix: "table",
            routeConfig,
            httpFilters: [
              filter("envoy.filters.http.fault", fault),
              filter("envoy.filters.http.router", router),
            ],
          }),
        ],
      },
    ],
  };
}

function bootstrap({ listeners, clusters }: { listeners: JsonValue[]; clusters: JsonValue[] }): object {
  const http2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicitHttpConfig: { http2ProtocolOptions: {} },
    },
  };
  // Zipkin's tracer wants its cluster at the start.
  const zipkin = "outbound|9411||zipkin.observe.svc.cluster.local";
  const own = ["xds-grpc", "sds-grpc", zipkin].map((name) => ({
    name,
    type: "STATIC",
    connectTimeout: "1s",
    typedExtensionProtocolOptions: http2,
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: 1 } } } }],
        },
      ],
    },
  }));
  return {
    node: { id: "golden", cluster: "golden" },
    dynamicResources: {
      adsConfig: {
        apiType: "DELTA_GRPC",
        transportApiVersion: "V3",
        grpcServices: [{ envoyGrpc: { clusterName: "xds-grpc" } }],
      },
    },
    staticResources: { listeners, clusters: [...own, ...clusters] },
  };
}
