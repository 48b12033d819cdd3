import { createServer } from "node:http";
import { createRegistry, type JsonValue, toJson } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { type Attempt, primarySample, type Signal, type Window } from "../../api/signals.ts";
import { AccessLogSchema } from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  StatsConfigSchema,
  StatsSinkSchema,
} from "../../envoy/generated/envoy/config/metrics/v3/stats_pb.js";
import { file_envoy_extensions_access_loggers_filters_cel_v3_cel } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { file_envoy_extensions_access_loggers_open_telemetry_v3_logs_service } from "../../envoy/generated/envoy/extensions/access_loggers/open_telemetry/v3/logs_service_pb.js";
import { file_envoy_extensions_access_loggers_stats_v3_stats } from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { file_envoy_extensions_access_loggers_stream_v3_stream } from "../../envoy/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { file_envoy_extensions_matching_actions_transform_stat_v3_transform_stat } from "../../envoy/generated/envoy/extensions/matching/actions/transform_stat/v3/transform_stat_pb.js";
import { file_envoy_extensions_matching_common_inputs_stats_v3_stats } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import { file_envoy_extensions_stat_sinks_open_telemetry_v3_open_telemetry } from "../../envoy/generated/envoy/extensions/stat_sinks/open_telemetry/v3/open_telemetry_pb.js";
import { systemClock } from "../../lib/clock.ts";
import { silent } from "../../lib/log.ts";
import { envoyMissing, freePort, startEnvoy } from "../../test/support/envoy.ts";
import { envoyArguments } from "../agent/envoy-process.ts";
import { canaryClusterKey, liveRouteMetadata, upstreamAttemptLogs } from "../build/attempt-log.ts";
import { clusterStatSuffix, statsConfig, statsSinks } from "../build/bootstrap-telemetry.ts";
import { signalsCluster } from "../build/signals-cluster.ts";
import { inboundAccessLogs } from "../build/telemetry.ts";
import { run } from "../testbed/run.ts";
import { serveOtlp } from "./otlp-server.ts";
import { createSignals } from "./signals.ts";

const registry = createRegistry(
  file_envoy_extensions_stat_sinks_open_telemetry_v3_open_telemetry,
  file_envoy_extensions_access_loggers_filters_cel_v3_cel,
  file_envoy_extensions_access_loggers_open_telemetry_v3_logs_service,
  file_envoy_extensions_access_loggers_stats_v3_stats,
  file_envoy_extensions_access_loggers_stream_v3_stream,
  file_envoy_extensions_matching_actions_transform_stat_v3_transform_stat,
  file_envoy_extensions_matching_common_inputs_stats_v3_stats,
);

const stops: (() => unknown)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/**
 * A version of the service: answers 200, or what `answer` says of the n-th request (0 = drops the connection); under
 * `/grpc/N` 200 with the gRPC status N.
 */
async function startVersion(answer: (n: number) => number): Promise<number> {
  let n = 0;
  const server = createServer((request, response) => {
    const grpc = /^\/grpc\/(\d+)$/.exec(request.url ?? "")?.[1];
    if (grpc !== undefined) return void response.setHeader("grpc-status", grpc).end("x");
    const status = answer(++n);
    if (status === 0) return void request.socket.destroy();
    response.statusCode = status;
    response.end("x");
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  stops.push(() => server.close());
  const address = server.address();
  return address !== null && typeof address === "object" ? address.port : 0;
}

function cluster(name: string, port: number) {
  const address = { socketAddress: { address: "127.0.0.1", portValue: port } };
  return {
    name,
    altStatName: `${name}${clusterStatSuffix}`,
    type: "STATIC",
    connectTimeout: "1s",
    loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint: { address } }] }] },
  };
}

const primaryCluster = `outbound|80||${run.primary.host}`;
const canaryCluster = `outbound|80||${run.canary.host}`;
function listener(port: number) {
  const route = (path: string, name: string, marked: boolean) => ({
    match: { path },
    route: { cluster: name },
    ...(marked
      ? {
          metadata: {
            filterMetadata: { [liveRouteMetadata]: { run: "1", [canaryClusterKey]: canaryCluster } },
          },
        }
      : {}),
  });
  const accessLog = inboundAccessLogs({ workload: "shop", namespace: "demo" }, undefined);
  return {
    name: "test",
    address: { socketAddress: { address: "127.0.0.1", portValue: port } },
    filterChains: [
      {
        filters: [
          {
            name: "hcm",
            typedConfig: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              statPrefix: "outbound",
              accessLog: accessLog.map((log): JsonValue => toJson(AccessLogSchema, log, { registry })),
              routeConfig: {
                name: "r",
                virtualHosts: [
                  {
                    name: "v",
                    domains: ["*"],
                    routes: [
                      route("/primary", primaryCluster, true),
                      route("/grpc/13", primaryCluster, true),
                      route("/grpc/5", primaryCluster, true),
                      route("/canary", canaryCluster, true),
                      route("/unmarked", canaryCluster, false),
                    ],
                  },
                ],
              },
              httpFilters: [
                {
                  name: "envoy.filters.http.router",
                  typedConfig: {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    upstreamLog: upstreamAttemptLogs({}).map(
                      (log): JsonValue => toJson(AccessLogSchema, log, { registry }),
                    ),
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

/** A proxy with the product's reports and log of attempts. */
function proxyOf(to: Readonly<Record<"primary" | "canary" | "controlPlane", number>>, port: number) {
  return {
    node: { id: "sidecar~127.0.0.1~a.demo~demo.svc.cluster.local", cluster: "a.demo" },
    statsFlushInterval: "1s",
    statsConfig: toJson(StatsConfigSchema, statsConfig()),
    statsSinks: statsSinks().map((sink): JsonValue => toJson(StatsSinkSchema, sink, { registry })),
    staticResources: {
      clusters: [
        cluster(primaryCluster, to.primary),
        cluster(canaryCluster, to.canary),
        cluster(signalsCluster, to.controlPlane),
      ],
      listeners: [listener(port)],
    },
  };
}

test.skipIf(envoyMissing)(
  "an Envoy whose control plane is away says nothing of each report and attempt",
  async () => {
    const version = await startVersion(() => 200);
    const [port, nobody] = [await freePort(), await freePort()];
    const all = envoyArguments({ binary: "", bootstrap: "", concurrency: 1, logLevel: "warning" });
    const quiet = all.slice(all.indexOf("--component-log-level")).slice(0, 2);
    const toldBy = async (more: string[]): Promise<string[]> => {
      const config = proxyOf({ primary: version, canary: version, controlPlane: nobody }, port);
      const envoy = await startEnvoy(config, undefined, ["--file-flush-interval-msec", "100", ...more]);
      try {
        for (let second = 0; second < 3; second++) {
          await fetch(`http://127.0.0.1:${port}/canary`);
          await new Promise((resolve) => setTimeout(resolve, 1000));
        }
        return envoy
          .log()
          .split("\n")
          .filter((line) => line.includes("OTLP"));
      } finally {
        await envoy.stop();
      }
    };
    expect((await toldBy([])).length).toBeGreaterThan(4);
    expect(await toldBy(quiet)).toEqual([]);
  },
);

test.skipIf(envoyMissing)(
  "a real Envoy's attempts and counters arrive by arm, and unmarked routes send no attempts",
  async () => {
    const primary = await startVersion((n) => (n === 2 ? 503 : 200));
    const canary = await startVersion((n) => (n === 1 ? 0 : n % 2 === 0 ? 503 : 200));
    const { signals, collector, series } = createSignals({
      replica: "test",
      clock: systemClock,
      cuts: { set: () => ({ held: 0, of: 0 }), release: () => undefined },
    });
    const admit = () => ({ workload: { namespace: "demo", workload: "shop" } });
    const otlp = await serveOtlp({ host: "127.0.0.1", port: 0, collector, admit, logger: silent });
    stops.push(() => otlp.close());
    const port = await freePort();
    const envoy = await startEnvoy(proxyOf({ primary, canary, controlPlane: otlp.port }, port));
    stops.push(() => envoy.stop());

    const attempts: Attempt[] = [];
    const windows: Window[] = [];
    const abort = new AbortController();
    stops.push(() => abort.abort());
    void (async () => {
      for await (const signal of signals.watch(run, abort.signal)) keep(signal);
    })();
    function keep(signal: Signal): void {
      if (signal.kind === "attempt") attempts.push(signal);
      if (signal.kind === "window") windows.push(signal);
    }

    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).then((answer) => answer.text());
    for (const path of ["/primary", "/canary", "/canary", "/canary", "/unmarked", "/primary"])
      await get(path);
    const certain = () => attempts.filter(({ arm, failed }) => arm === "canary" || failed);
    await expect.poll(() => certain().length, { timeout: 3_000 }).toBe(4);
    expect(certain().map(({ arm, failed, status, flags }) => [arm, failed, status, ...flags])).toEqual([
      ["canary", true, 0, "UC"],
      ["canary", true, 503],
      ["canary", false, 200],
      ["primary", true, 503],
    ]);
    expect(certain().every(({ times = 1 }) => times === 1)).toBe(true);

    const newest = (arm: string, side: string) =>
      windows.findLast((window) => window.arm === arm && window.side === side);
    await expect.poll(() => newest("canary", "client")?.requests, { timeout: 5_000 }).toBe(4);
    // The last requests may come with the next report.
    await expect.poll(() => newest("primary", "client")?.requests, { timeout: 5_000 }).toBe(2);
    await expect.poll(() => newest("canary", "destination")?.requests, { timeout: 5_000 }).toBe(6);
    // The dropped connection counts as an attempt that failed, as the caller saw it.
    expect(newest("canary", "client")?.failed).toBe(3);
    expect(newest("primary", "client")?.failed).toBe(1);
    // A gRPC failure of the primary is told without exception, though its HTTP status is 200.
    const grpc = { headers: { "content-type": "application/grpc" } };
    for (const path of ["/grpc/13", "/grpc/5"])
      await (await fetch(`http://127.0.0.1:${port}${path}`, grpc)).text();
    await expect.poll(() => certain().length, { timeout: 3_000 }).toBe(5);
    expect(certain().at(-1)).toMatchObject({ arm: "primary", failed: true, status: 200 });
    // Of the primary's successes some are told, and stand for the others.
    for (let request = 0; request < 500; request++) await get("/primary");
    const sampled = () => attempts.filter(({ arm, failed }) => arm === "primary" && !failed);
    await expect.poll(() => newest("primary", "client")?.requests, { timeout: 5_000 }).toBe(504);
    expect(sampled().length).toBeGreaterThan(0);
    expect(sampled().length).toBeLessThan(40);
    expect(sampled().every(({ times }) => times === primarySample)).toBe(true);
    await get("/canary");
    // Queries are answered by exact statuses: Envoy itself answers a path that it does not know.
    for (const path of ["/missing", "/missing"]) await get(path);
    const answered = (code: string): number =>
      series
        .select(
          "istio_requests_total",
          (labels) => labels.get("response_code") === code,
          0,
          Date.now() + 2000,
        )
        .reduce((sum, { points }) => sum + (points.at(-1)?.[1] ?? 0), 0);
    await expect.poll(() => answered("404"), { timeout: 5_000 }).toBe(2);
    expect(answered("200")).toBeGreaterThan(500);
    expect(answered("4xx") + answered("429")).toBe(0);
    await expect
      .poll(
        async () =>
          (await signals.history(run, 60)).findLast((w) => w.arm === "canary" && w.side === "client")
            ?.requests,
        { timeout: 5_000 },
      )
      .toBe(1);
  },
);
