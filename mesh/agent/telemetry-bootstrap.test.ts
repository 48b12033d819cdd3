import { readFileSync } from "node:fs";
import { createRegistry, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  StatsConfigSchema,
  StatsSinkSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/stats_pb.js";
import { file_envoy_extensions_matching_common_inputs_stats_v3_stats } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import { file_envoy_extensions_stat_sinks_open_telemetry_v3_open_telemetry } from "../../envoy/generated/envoy/extensions/stat_sinks/open_telemetry/v3/open_telemetry_pb.js";
import { nodePlaceholder, statsConfig, statsSinks } from "../build/bootstrap-telemetry.ts";
import { signalsCluster } from "../build/signals-cluster.ts";
import { buildBootstrap } from "./bootstrap.ts";
import { readAgentConfig } from "./config.ts";
import { readTelemetryBootstrap } from "./telemetry-bootstrap.ts";

const registry = createRegistry(
  file_envoy_extensions_matching_common_inputs_stats_v3_stats,
  file_envoy_extensions_stat_sinks_open_telemetry_v3_open_telemetry,
);
const options = { registry, useProtoFieldName: true };

const pod = { POD_NAME: "a-1", POD_NAMESPACE: "demo", SERVICE_ACCOUNT: "a", INSTANCE_IP: "10.1.2.3" };

test("the agent's file of telemetry says what the mesh builds (vitest -u writes it anew)", async () => {
  const built = {
    stats_config: toJson(StatsConfigSchema, statsConfig(), options),
    stats_sinks: statsSinks().map((sink) => toJson(StatsSinkSchema, sink, options)),
  };
  const file = new URL("telemetry-bootstrap.json", import.meta.url).pathname;
  await expect(`${JSON.stringify(built, null, 2)}\n`).toMatchFileSnapshot(file);
  expect(readTelemetryBootstrap()).toEqual(JSON.parse(readFileSync(file, "utf8")));
});

test("each proxy reports under its own name, to a cluster that its bootstrap has", () => {
  const config = readAgentConfig(pod, [], () => "");
  const text = JSON.stringify(buildBootstrap(config, "/socket", readTelemetryBootstrap()));
  expect(JSON.stringify(readTelemetryBootstrap())).toContain(`"${nodePlaceholder}"`);
  expect(text).not.toContain(nodePlaceholder);
  expect(text).toContain('"value":"sidecar~10.1.2.3~a-1.demo~demo.svc.cluster.local"');
  expect(text).toContain(`"name":"${signalsCluster}"`);
  expect(text).toContain(`"cluster":"${signalsCluster}"`);
});
