import { readFileSync } from "node:fs";
import { createRegistry, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { file_envoy_config_metrics_v3_metrics_service } from "../../envoy/generated/envoy/config/metrics/v3/metrics_service_pb.js";
import {
  StatsConfigSchema,
  StatsSinkSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/stats_pb.js";
import { statsConfig, statsSinks } from "../build/bootstrap-telemetry.ts";
import { readTelemetryBootstrap } from "./telemetry-bootstrap.ts";

const registry = createRegistry(file_envoy_config_metrics_v3_metrics_service);
const options = { registry, useProtoFieldName: true };

test("the agent's file of telemetry says what the mesh builds (vitest -u writes it anew)", async () => {
  const built = {
    stats_config: toJson(StatsConfigSchema, statsConfig(), options),
    stats_sinks: statsSinks().map((sink) => toJson(StatsSinkSchema, sink, options)),
  };
  const file = new URL("telemetry-bootstrap.json", import.meta.url).pathname;
  await expect(`${JSON.stringify(built, null, 2)}\n`).toMatchFileSnapshot(file);
  expect(readTelemetryBootstrap()).toEqual(JSON.parse(readFileSync(file, "utf8")));
});
