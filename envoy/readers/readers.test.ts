import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readLogsExport, readNodeName } from "./otlp-logs.ts";
import { readMetricsExport } from "./otlp-metrics.ts";

test("bytes that are damaged throw RangeError and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const read of [readLogsExport, readNodeName, readMetricsExport]) {
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }
    }),
  );
});

/** What a real Envoy 1.40 sent. */
const recorded = (name: string): Buffer => readFileSync(new URL(`testdata/${name}.bin`, import.meta.url));

test("a message of Envoy's OpenTelemetry access log is read: its node, and each record's time and text", () => {
  const { resource, records } = readLogsExport(recorded("attempts"));
  expect(readNodeName(resource)).toBe("sidecar~127.0.0.1~p-0000.demo~demo.svc.cluster.local");
  expect(records).toHaveLength(8);
  const canary = "outbound|80||shop-canary.demo.svc.cluster.local";
  const primary = "outbound|80||shop-primary.demo.svc.cluster.local";
  expect(records[0]?.text).toBe(`127.0.0.1:52464\t2\t${primary}\t-\t${canary}\t-\t200\t1\t-\t14`);
  expect(records[7]?.text).toBe(`127.0.0.1:52500\t6\t${canary}\t-\t${canary}\t-\t503\t1\t-\t-`);
  expect(records.map(({ at }) => Math.round((at - 1_795_349_731_351) * 10))).toEqual([
    5, 6, 6, 6, 6, 8, 5, 7,
  ]);
  expect(() => readLogsExport(recorded("attempts").subarray(0, 900))).toThrow(RangeError);
});

// 90 answers 200 and 10 answers 503, then nothing.
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
