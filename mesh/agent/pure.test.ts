import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readNumbers } from "./admin.ts";
import { renewalDelay, retryDelay } from "./certificates.ts";
import { trafficOf } from "./drain.ts";
import { FrameReader, frame } from "./grpc.ts";
import { mergePages, renameSeries } from "./metrics-page.ts";
import { whyNotReady } from "./readiness.ts";

describe("renewal", () => {
  test("comes at half the life, a little earlier or later, and never in a hurry", () => {
    const now = Date.now();
    const hour = 3600_000;
    const day = { validToDate: new Date(now + 24 * hour) };
    expect(renewalDelay(day, now, 0.5) / hour).toBeCloseTo(12, 3);
    expect(renewalDelay(day, now, 0) / hour).toBeCloseTo(10.8, 3);
    expect(renewalDelay(day, now, 1) / hour).toBeCloseTo(13.2, 3);
    expect(renewalDelay({ validToDate: new Date(now - hour) }, now, 0.5)).toBe(1_000);
  });

  test("is tried again soon at first, never later than 15 s", () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const delay = retryDelay(attempt, random);
        expect(delay).toBeGreaterThanOrEqual(100);
        expect(delay).toBeLessThanOrEqual(15_000);
      }),
    );
  });
});

test("grpc frames come back whole, however they are cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 17 }), (sent, size) => {
      const bytes = Buffer.concat(sent.map(frame));
      const reader = new FrameReader();
      const received: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size)
        received.push(...reader.push(bytes.subarray(at, at + size)));
      expect(received.map((message) => [...message])).toEqual(sent.map((message) => [...message]));
    }),
  );
});

test("Istio's series get their own names, Envoy's keep theirs", () => {
  const page = [
    "# TYPE envoy_fairlead_istio_requests_total counter",
    'envoy_fairlead_istio_requests_total{reporter="source"} 3',
    "# TYPE envoy_fairlead_istio_request_duration_milliseconds histogram",
    'envoy_fairlead_istio_request_duration_milliseconds_bucket{le="0.5"} 1',
    'envoy_cluster_upstream_rq{envoy_cluster_name="x_istio_requests_total"} 2',
    'envoy_fairlead_fairlead_attempts_total{attempt="1"} 4',
    "envoy_server_live 1",
  ].join("\n");
  expect(mergePages(renameSeries(page), "app_up 1").split("\n")).toEqual([
    "# TYPE istio_requests_total counter",
    'istio_requests_total{reporter="source"} 3',
    "# TYPE istio_request_duration_milliseconds histogram",
    'istio_request_duration_milliseconds_bucket{le="0.5"} 1',
    'envoy_cluster_upstream_rq{envoy_cluster_name="x_istio_requests_total"} 2',
    'fairlead_attempts_total{attempt="1"} 4',
    "envoy_server_live 1",
    "app_up 1",
    "",
  ]);
});

test("traffic is the sum over listeners", () => {
  const numbers = readNumbers(
    "http.inbound_80.downstream_rq_total: 7\nhttp.inbound_80.downstream_rq_active: 1\ntcp.inbound|90||.downstream_cx_total: 2\nh: P0(1,2)\n",
  );
  expect(trafficOf(numbers)).toEqual({ begun: 9, active: 1 });
});

test("a proxy is ready only with clusters, listeners, workers and a live state", () => {
  const ready = {
    "cluster_manager.cds.update_success": 1,
    "listener_manager.lds.update_success": 1,
    "listener_manager.workers_started": 1,
    "server.state": 0,
  };
  expect(whyNotReady(new Map(Object.entries(ready)))).toBeUndefined();
  for (const name of Object.keys(ready)) {
    const numbers = new Map(Object.entries(ready));
    numbers.delete(name);
    expect(whyNotReady(numbers), name).toBeDefined();
  }
});
