import type { JsonValue } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { compareDump, compareRuntime, differences } from "./compare.ts";
import type { ProxyDump } from "./contract.ts";
import { readConfigDump, readRuntimeLayer } from "./running.ts";

const clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
const cluster = (name: string, more: Record<string, JsonValue> = {}) => ({
  "@type": clusterType,
  name,
  ...more,
});

function dumpOf(resources: ProxyDump["resources"]): ProxyDump {
  return { proxy: "demo/web-1", id: "", since: "", resources };
}

const wanted = (name: string, resource: JsonValue) => ({ name, version: "1", held: true, resource });

function pageOf(section: Record<string, JsonValue>): string {
  return JSON.stringify({ configs: [section] });
}

describe("wanted against running", () => {
  test("tells what is missing, what is there besides, and each field that differs, whichever way it is written", () => {
    const running = readConfigDump(
      pageOf({
        "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump",
        static_clusters: [{ cluster: cluster("of-the-bootstrap") }],
        dynamic_active_clusters: [
          { cluster: cluster("same", { connect_timeout: "10s", lb_policy: "LEAST_REQUEST" }) },
          { cluster: cluster("other", { connect_timeout: "5s" }) },
          { cluster: cluster("stale") },
          { cluster: cluster("warms", { connect_timeout: "1s" }) },
        ],
        dynamic_warming_clusters: [{ cluster: cluster("warms", { connect_timeout: "2s" }) }],
      }),
    );
    const dump = dumpOf({
      cluster: [
        wanted("same", cluster("same", { connectTimeout: "10s", lbPolicy: "LEAST_REQUEST" })),
        wanted("other", cluster("other", { connectTimeout: "10s", altStatName: "o" })),
        wanted("warms", cluster("warms", { connectTimeout: "2s" })),
        wanted("new", cluster("new")),
      ],
    });
    expect(compareDump(dump, running)).toEqual({
      cluster: {
        same: 2,
        missing: ["new"],
        extra: ["stale"],
        differing: [
          {
            name: "other",
            fields: [
              { field: "/connectTimeout", wanted: "10s", running: "5s" },
              { field: "/altStatName", wanted: "o" },
            ],
          },
        ],
      },
    });
  });

  test("endpoints are compared by address, priority and weight, in any order and of any health", () => {
    const at = (address: string, more: Record<string, JsonValue> = {}) => ({
      endpoint: { address: { socket_address: { address, port_value: 80 } } },
      ...more,
    });
    const running = readConfigDump(
      pageOf({
        "@type": "type.googleapis.com/envoy.admin.v3.EndpointsConfigDump",
        dynamic_endpoint_configs: [
          {
            endpoint_config: {
              cluster_name: "a",
              endpoints: [
                { lb_endpoints: [at("10.0.0.2", { health_status: "HEALTHY", load_balancing_weight: 1 })] },
                { lb_endpoints: [at("10.0.0.1"), at("10.0.0.9")], priority: 1 },
              ],
            },
          },
        ],
      }),
    );
    const ours = (address: string) => ({
      endpoint: { address: { socketAddress: { address, portValue: 80 } } },
    });
    const dump = dumpOf({
      endpoint: [
        wanted("a", { clusterName: "a", endpoints: [{ lbEndpoints: [ours("10.0.0.1"), ours("10.0.0.2")] }] }),
      ],
    });
    expect(compareDump(dump, running).endpoint?.differing).toEqual([
      {
        name: "a",
        fields: [
          { field: "/10.0.0.1:80", wanted: "priority 0, weight 1", running: "priority 1, weight 1" },
          { field: "/10.0.0.9:80", running: "priority 1, weight 1" },
        ],
      },
    ]);
  });

  test("of the runtime layer fl the values count, not how they are written", () => {
    const page = JSON.stringify({
      layers: ["base", "fl", "admin"],
      entries: {
        a: { final_value: "1", layer_values: ["", "1", ""] },
        b: { final_value: "2", layer_values: ["", "2", ""] },
        old: { final_value: "0", layer_values: ["", "0", ""] },
        operator: { final_value: "9", layer_values: ["", "", "9"] },
      },
    });
    const dump = dumpOf({ runtime: [wanted("fl", { name: "fl", layer: { a: 1, b: 3, c: 0 } })] });
    expect(compareRuntime(dump, readRuntimeLayer(page, "fl"))).toEqual({
      same: 1,
      missing: ["c"],
      extra: ["old"],
      differing: [{ name: "b", fields: [{ field: "", wanted: 3, running: "2" }] }],
    });
  });

  test("pointers into resources are escaped as RFC 6901 wants", () => {
    expect(differences({ "a/b": [{ "~": 1 }] }, { "a/b": [{ "~": 2 }, 3] })).toEqual([
      { field: "/a~1b/0/~0", wanted: 1, running: 2 },
      { field: "/a~1b/1", running: 3 },
    ]);
  });

  test("another page than Envoy's is told as such", () => {
    expect(() => readConfigDump("<html>")).toThrow("no JSON");
    expect(() => readConfigDump("{}")).toThrow("no /config_dump");
  });
});
