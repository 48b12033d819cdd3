import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StreamAccessLogsMessageSchema } from "../generated/envoy/service/accesslog/v3/als_pb.js";
import { StreamMetricsMessageSchema } from "../generated/envoy/service/metrics/v3/metrics_service_pb.js";
import { MetricType } from "../generated/io/prometheus/client/metrics_pb.js";
import { readAccessLogs } from "./access-log.ts";
import { readMetrics } from "./metrics.ts";

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
      },
      { downstream: "", end: 0, upstreamCluster: "", flags: [], status: 200, grpcStatus: 14 },
    ]);
  });

  test("that are damaged throw RangeError and nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readAccessLogs(Buffer.from(bytes));
          readMetrics(Buffer.from(bytes), () => true);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});

test("only the wanted families of a metrics report are read", () => {
  const message = create(StreamMetricsMessageSchema, {
    envoyMetrics: [
      { name: "server.live", type: MetricType.GAUGE, metric: [{ gauge: { value: 1 } }] },
      {
        name: "requests",
        type: MetricType.COUNTER,
        metric: [
          {
            label: [{ name: "code", value: "200" }],
            counter: { value: 41 },
            timestampMs: 1_795_255_394_619n,
          },
        ],
      },
      {
        name: "duration",
        type: MetricType.HISTOGRAM,
        metric: [
          {
            timestampMs: 7n,
            histogram: {
              sampleCount: 3n,
              bucket: [
                { cumulativeCount: 1n, upperBound: 0.5 },
                { cumulativeCount: 2n, upperBound: 1 },
              ],
            },
          },
        ],
      },
    ],
  });
  const read = readMetrics(
    Buffer.from(toBinary(StreamMetricsMessageSchema, message)),
    (name) => name !== "server.live",
  );
  expect(read.samples).toEqual([
    {
      family: "requests",
      at: 1_795_255_394_619,
      labels: new Map([["code", "200"]]),
      value: { kind: "counter", total: 41 },
    },
    { family: "duration", at: 7, labels: new Map(), value: { kind: "histogram", buckets: [1, 2], count: 3 } },
  ]);
});
