import { bytesField, Cursor, fixed64Field } from "./wire.ts";

/** One metric of one flush. */
export interface Sample {
  readonly name: string;
  readonly value:
    | { readonly kind: "counter"; readonly total: number }
    /** Seen since the flush before: requests per bucket, the last beyond all bounds. */
    | { readonly kind: "histogram"; readonly buckets: readonly number[] };
}

export interface MetricsExport {
  /** Epoch milliseconds of the flush; 0 where the message holds no counter. */
  readonly at: number;
  /** Epoch milliseconds since when the counters count: the start of the proxy's process; 0 where it holds none. */
  readonly start: number;
  readonly samples: readonly Sample[];
}

interface Export {
  at: number;
  start: number;
  readonly samples: Sample[];
}

/**
 * Reads what Envoy's OpenTelemetry stats sink sends: cumulative sums, and histograms as deltas. Gauges and attributes
 * are passed over.
 *
 * @throws RangeError on damaged bytes
 * @see opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest
 */
export function readMetricsExport(buffer: Buffer): MetricsExport {
  const found: Export = { at: 0, start: 0, samples: [] };
  // resource_metrics → scope_metrics → metrics
  eachField(new Cursor(buffer), 1, (resource) =>
    eachField(resource, 2, (scope) => eachField(scope, 2, (metric) => readMetric(metric, found))),
  );
  return found;
}

function eachField(cursor: Cursor, number: number, read: (message: Cursor) => void): void {
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(number)) read(cursor.message());
    else cursor.skip(tag);
  }
}

function readMetric(cursor: Cursor, found: Export): void {
  let name = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) name = cursor.text();
    else if (tag === bytesField(7)) {
      let total = 0;
      eachField(cursor.message(), 1, (point) => {
        total += readCounter(point, found);
      });
      found.samples.push({ name, value: { kind: "counter", total } });
    } else if (tag === bytesField(9)) {
      eachField(cursor.message(), 1, (point) => {
        const buckets = readHistogram(point);
        if (buckets.length > 0) found.samples.push({ name, value: { kind: "histogram", buckets } });
      });
    } else cursor.skip(tag);
  }
}

/** NumberDataPoint. */
function readCounter(cursor: Cursor, found: Export): number {
  let total = 0;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === fixed64Field(2)) found.start = toMilliseconds(cursor.fixed64());
    else if (tag === fixed64Field(3)) found.at = toMilliseconds(cursor.fixed64());
    else if (tag === fixed64Field(4)) total = cursor.double();
    else if (tag === fixed64Field(6)) total = cursor.fixed64();
    else cursor.skip(tag);
  }
  if (!Number.isFinite(total) || total < 0) throw new RangeError("metrics: a counter is no count");
  return total;
}

/** HistogramDataPoint.bucket_counts, packed. */
function readHistogram(cursor: Cursor): number[] {
  const buckets: number[] = [];
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(6)) {
      const packed = cursor.message();
      while (packed.position < packed.end) buckets.push(packed.fixed64());
    } else cursor.skip(tag);
  }
  return buckets;
}

/** Nanoseconds by the protocol; Envoy 1.40 gives the start of its counters in microseconds. */
function toMilliseconds(value: number): number {
  return Math.round(value > 1e17 ? value / 1e6 : value / 1e3);
}
