import { get } from "node:http";
import { create, fromJson } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import { RouterSchema } from "../../envoy/generated/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { until } from "../../local/testing/until.ts";
import { envoyMissing, freePort, startEnvoy } from "../../test/support/envoy.ts";
import { encodeResource } from "../build/resource.ts";
import { resourceSet } from "../build/resource-set.ts";
import type { View } from "../build/view.ts";
import { bootstrapFor } from "../testbed/ads-bootstrap.ts";
import { startService } from "../testbed/service.ts";
import { createAds } from "./ads.ts";
import { adsDefinition } from "./definition.ts";

const primary = "outbound|80||shop-primary.demo.svc.cluster.local";
const canary = "outbound|80||shop-canary.demo.svc.cluster.local";
const prefix = "fl.w.demo.shop";

/** Asks through the proxy and gives the body. */
function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, headers: { host: "shop" }, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on("end", () => resolve(response.statusCode === 200 ? body : `${response.statusCode}`));
    }).on("error", reject);
  });
}

function assignment(name: string, port: number) {
  const message = fromJson(ClusterLoadAssignmentSchema, {
    clusterName: name,
    endpoints: [
      {
        lbEndpoints: [
          { endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } } } },
        ],
      },
    ],
  });
  return encodeResource("endpoint", name, ClusterLoadAssignmentSchema, message);
}

function cluster(name: string) {
  const message = fromJson(ClusterSchema, {
    name,
    type: "EDS",
    connectTimeout: "1s",
    edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: "V3" } },
  });
  return encodeResource("cluster", name, ClusterSchema, message);
}

function listener(port: number) {
  const manager = create(HttpConnectionManagerSchema, {
    statPrefix: "wire",
    routeSpecifier: {
      case: "rds",
      value: {
        routeConfigName: "http_proxy",
        configSource: { resourceApiVersion: 2, configSourceSpecifier: { case: "ads", value: {} } },
      },
    },
    httpFilters: [
      {
        name: "envoy.filters.http.router",
        configType: { case: "typedConfig", value: anyPack(RouterSchema, create(RouterSchema)) },
      },
    ],
  });
  const message = create(ListenerSchema, {
    name: "egress",
    address: {
      address: {
        case: "socketAddress",
        value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } },
      },
    },
    filterChains: [
      {
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            configType: { case: "typedConfig", value: anyPack(HttpConnectionManagerSchema, manager) },
          },
        ],
      },
    ],
  });
  return encodeResource("listener", "egress", ListenerSchema, message);
}

function routes(runtime: boolean, weight: number) {
  const weights = runtime ? [1_000_000, 0] : [1_000_000 - weight * 10_000, weight * 10_000];
  const message = fromJson(RouteConfigurationSchema, {
    name: "http_proxy",
    virtualHosts: [
      {
        name: "shop",
        domains: ["*"],
        routes: [
          {
            match: { prefix: "/" },
            route: {
              weightedClusters: {
                ...(runtime && { runtimeKeyPrefix: prefix }),
                clusters: [
                  { name: primary, weight: weights[0] ?? 0 },
                  { name: canary, weight: weights[1] ?? 0 },
                ],
              },
            },
          },
        ],
      },
    ],
  });
  return encodeResource("route", "http_proxy", RouteConfigurationSchema, message);
}

function layer(weight: number) {
  const message = create(RuntimeSchema, {
    name: "fl",
    layer: {
      [`${prefix}.${primary}`]: 1_000_000 - weight * 10_000,
      [`${prefix}.${canary}`]: weight * 10_000,
    },
  });
  return encodeResource("runtime", "fl", RuntimeSchema, message);
}

const keys = new Set([`${prefix}.${primary}`, `${prefix}.${canary}`]);

test.skipIf(envoyMissing !== undefined)(
  "a weight changes what a client of a real Envoy is answered, by RTDS where the layer is, by RDS elsewhere",
  async () => {
    const [one, two] = [await startService("one"), await startService("two")];
    const egress = new Map([
      ["with-layer", await freePort()],
      ["without-layer", await freePort()],
    ]);
    const clusters = resourceSet([cluster(primary), cluster(canary)]);
    const endpoints = resourceSet([assignment(primary, one.port), assignment(canary, two.port)]);
    const listeners = new Map([...egress].map(([id, port]) => [id, resourceSet([listener(port)])]));
    const safeRoutes = resourceSet([routes(true, 0)]);
    let weight = 0;
    const viewOf = ({ id }: { id: string }): View => ({
      resources: {
        runtime: [resourceSet([layer(weight)])],
        cluster: [clusters],
        endpoint: [endpoints],
        listener: [listeners.get(id) ?? resourceSet([])],
        route: [safeRoutes],
        secret: [],
      },
      plainRoutes: [resourceSet([routes(false, weight)])],
      runtimeKeys: keys,
    });
    const acknowledged: string[] = [];
    const ads = createAds<{ id: string }>({
      clock: systemClock,
      logger: silent,
      recognise: ({ node }) => ({ id: node.id }),
      viewOf,
      onAcknowledged: ({ id }, { type }) => acknowledged.push(`${id} ${type}`),
    });
    const server = new Server();
    server.addService(adsDefinition, ads.implementation);
    const xdsPort = await new Promise<number>((resolve, reject) =>
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    );
    const envoys = await Promise.all(
      [...egress.keys()].map(async (id) =>
        startEnvoy(
          bootstrapFor({
            node: { id, cluster: "wire" },
            xdsPort,
            layer: id === "with-layer",
          }),
        ),
      ),
    );
    const answers = async () =>
      Promise.all([...egress.values()].map((port) => ask(port).catch(() => "no answer")));
    try {
      await until("both answer from the primary", async () => (await answers()).join() === "one,one", 15_000);
      for (const [next, expected] of [
        [100, "two,two"],
        [0, "one,one"],
      ] as const) {
        acknowledged.length = 0;
        weight = next;
        ads.publish();
        await until(`both answer ${expected}`, async () => (await answers()).join() === expected);
        await until("both have acknowledged", () => acknowledged.length === 2);
        expect(acknowledged.toSorted()).toEqual(["with-layer runtime", "without-layer route"]);
      }
    } finally {
      await Promise.all(envoys.map((envoy) => envoy.stop()));
      server.forceShutdown();
      await Promise.all([one.stop(), two.stop()]);
    }
  },
);
