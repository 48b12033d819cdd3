import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { parseAllDocuments, stringify } from "yaml";
import type { KubeObject } from "../../api/resource.ts";
import { BuildVersionSchema, NodeSchema } from "../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { snapshotOf } from "../../kube/snapshot.ts";
import { defaultSettings } from "../model/model.ts";
import { readNode } from "../model/proxy.ts";
import { createTranslator } from "../translate/translate.ts";
import { cutTable } from "../xds/cut-routes.ts";
import { upstreamAttemptLogs } from "./attempt-log.ts";
import { createBuilder } from "./builder.ts";
import { readableResource } from "./readable.ts";
import type { Layers } from "./resource-set.ts";
import { noPolicies } from "./workload-filters.ts";

const path = join(import.meta.dirname, "../testdata/shield.in.yaml");
const [, ...objects] = parseAllDocuments(readFileSync(path, "utf8")).map((document): unknown =>
  document.toJS(),
);
const { model } = createTranslator(defaultSettings)(snapshotOf(objects as KubeObject[]));
const telemetry = {
  inboundAccessLogs: () => [],
  outboundAccessLogs: () => [],
  upstreamAttemptLogs,
};

function viewOf(minorNumber: number, metadata: Record<string, string> = {}, of = model) {
  const version = create(BuildVersionSchema, { version: { majorNumber: 1, minorNumber } });
  const node = create(NodeSchema, {
    id: "sidecar~10.0.0.9~web-1.demo~demo.svc.cluster.local",
    metadata: { INTERCEPTION_MODE: "NONE", ...metadata },
    userAgentVersionType: { case: "userAgentBuildVersion", value: version },
  });
  const proxy = readNode(node);
  if ("refused" in proxy) throw new Error(proxy.refused);
  return createBuilder({ policyFilters: () => noPolicies, telemetry }).viewOf(of, proxy);
}

function textOf(layers: Layers): string {
  return layers
    .flatMap((set) => Array.from(set.values(), (one) => stringify(readableResource(one))))
    .join("");
}

test("an Envoy that knows composite clusters has them before the routes that lead there", () => {
  const { resources } = viewOf(37);
  const name = "shield|80||shop-canary.demo.svc.cluster.local";
  expect(textOf(resources.cluster)).toContain(`name: ${name}`);
  expect(textOf(resources.route)).toContain(`cluster: ${name}`);
});

test.each([
  ["an Envoy before 1.37", 36, {}],
  ["a gRPC client", 40, { GENERATOR: "grpc" }],
] as const)("%s gets the weights and no shield", (_, minor, metadata) => {
  const { resources, plainRoutes } = viewOf(minor, metadata);
  for (const layers of [resources.cluster, resources.route, plainRoutes, resources.runtime])
    expect(textOf(layers)).not.toContain("shield");
  expect(textOf(plainRoutes)).toContain("weight: 200000");
});

test.each([
  [36, false],
  [37, true],
] as const)("an Envoy 1.%d has the log of attempts, which it would refuse before 1.37: %s", (minor, has) => {
  const { resources } = viewOf(minor);
  expect(textOf(resources.listener).includes("/v1/logs")).toBe(has);
});

test("the table with the real weights has the real share, and a cut takes both to 0", () => {
  const { plainRoutes } = viewOf(40);
  expect(textOf(plainRoutes)).toContain("numerator: 200000");
  const cut = {
    ...{ kind: "cut" as const, id: "1", canaryUid: "uid-1", run: "run-1", revision: "r1", reason: "", at: 0 },
    route: { kind: "VirtualService", namespace: "demo", name: "shop" },
    canaryDestinations: ["shop-canary.demo.svc.cluster.local"],
    primaryDestination: "shop-primary.demo.svc.cluster.local",
  };
  const held = viewOf(40, {}, { ...model, routes: model.routes.map((table) => cutTable(table, cut)) });
  expect(textOf(held.plainRoutes)).not.toContain("numerator: 200000");
  const runtime = textOf(held.resources.runtime);
  expect(runtime).toMatch(/shop\.shield:\n\s+numerator: 0/);
});
