import { readFileSync } from "node:fs";
import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StreamAccessLogsMessageSchema } from "../generated/envoy/service/accesslog/v3/als_pb.js";
import { readAccessLogs } from "./access-log.ts";
import { readMetricsExport } from "./otlp-metrics.ts";

describe("access log entries", () => {
  test("are read as protobuf-es reads them", () => {
    const message = create(StreamAccessLogsMessageSchema, {
      identifier: {
        node: { id: "sidecar~127.0.0.1~a.demo~demo.svc", cluster: "a" },
        logName: "fairlead_attempts",
      },
      logEntries: {
        case: "httpLogs",
        value: {
          logEntry: [
            {
              commonProperties: {
                downstreamRemoteAddress: {
                  address: {
                    case: "socketAddress",
                    value: { address: "127.9.1.1", portSpecifier: { case: "portValue", value: 40_000 } },
                  },
                },
                startTime: { seconds: 1_795_255_394n, nanos: 500_000_000 },
                duration: { seconds: 0n, nanos: 250_000_000 },
                upstreamCluster: "outbound|80||shop-canary.demo.svc.cluster.local",
                responseFlags: { upstreamConnectionFailure: true, upstreamRetryLimitExceeded: true },
                customTags: { attempt: "1", workload: "shop" },
              },
            },
            { response: { responseCode: 200, responseTrailers: { "grpc-status": "14" } } },
          ],
        },
      },
    });
    const read = readAccessLogs(Buffer.from(toBinary(StreamAccessLogsMessageSchema, message)));
    expect(read.identifier).toEqual({
      nodeId: "sidecar~127.0.0.1~a.demo~demo.svc",
      logName: "fairlead_attempts",
    });
    expect(read.entries).toEqual([
      {
        downstream: "127.9.1.1:40000",
        end: 1_795_255_394_750,
        upstreamCluster: "outbound|80||shop-canary.demo.svc.cluster.local",
        flags: ["UF", "URX"],
        status: 0,
        grpcStatus: undefined,
        tags: new Map([
          ["attempt", "1"],
          ["workload", "shop"],
        ]),
      },
      {
        downstream: "",
        end: 0,
        upstreamCluster: "",
        flags: [],
        status: 200,
        grpcStatus: 14,
        tags: new Map(),
      },
    ]);
  });

  test("that are damaged throw RangeError and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readAccessLogs(Buffer.from(bytes));
          readMetricsExport(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

/** What a real Envoy 1.40 sent: 90 answers 200 and 10 answers 503, then nothing. */
const recorded = (name: string): Buffer => readFileSync(new URL(`testdata/${name}.bin`, import.meta.url));

test("a report of Envoy's stats sink is read: cumulative counters, latencies since the last", () => {
  const { at, start, samples } = readMetricsExport(recorded("report-busy"));
  expect(at - start).toBeGreaterThan(1000);
  expect(at - start).toBeLessThan(10_000);
  const cluster = "cluster.outbound|80||shop-primary.demo.svc.cluster.local;.";
  const byName = new Map(samples.map(({ name, value }) => [name, value]));
  expect(byName.get("destination.2xx")).toEqual({ kind: "counter", total: 90 });
  expect(byName.get("destination.5xx")).toEqual({ kind: "counter", total: 10 });
  expect(byName.get(`${cluster}upstream_rq_completed`)).toEqual({ kind: "counter", total: 100 });
  expect(byName.get(`${cluster}upstream_rq_5xx`)).toEqual({ kind: "counter", total: 10 });
  const time = byName.get("destination.time");
  expect(time?.kind === "histogram" && time.buckets.length).toBe(20);
  expect(time?.kind === "histogram" && time.buckets.reduce((sum, count) => sum + count, 0)).toBe(100);
  const idle = readMetricsExport(recorded("report-idle"));
  expect(idle.start).toBe(start);
  expect(idle.at).toBeGreaterThan(at);
  expect(idle.samples.filter(({ value }) => value.kind === "histogram")).toEqual([]);
  expect(idle.samples).toContainEqual({ name: "destination.2xx", value: { kind: "counter", total: 90 } });
});

test.for([Number.NaN, Number.POSITIVE_INFINITY, -1])("a report whose counter is %d is refused", (value) => {
  const field = (number: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
  const double = Buffer.alloc(9);
  double[0] = (4 << 3) | 1;
  double.writeDoubleLE(value, 1);
  const metric = Buffer.concat([field(1, Buffer.from("x")), field(7, field(1, double))]);
  expect(() => readMetricsExport(field(1, field(2, field(2, metric))))).toThrow(
    new RangeError("metrics: a counter is no count"),
  );
});
