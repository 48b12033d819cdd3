import { readNodeId } from "./access-log.ts";
import { bytesField, Cursor, fixed64Field, varintField } from "./wire.ts";

/** One series of one report. */
export interface Sample {
  readonly family: string;
  /** Epoch milliseconds of the flush. */
  readonly at: number;
  readonly labels: ReadonlyMap<string, string>;
  readonly value:
    | { readonly kind: "counter"; readonly total: number }
    | { readonly kind: "histogram"; readonly buckets: readonly number[]; readonly count: number };
}

export interface MetricsReport {
  /** Present in the first message of a stream only. */
  readonly nodeId: string | undefined;
  readonly samples: readonly Sample[];
}

/**
 * Reads a message of Envoy's metrics service; only the families that `wanted` names are built.
 *
 * Histograms are what was seen since the last flush, whatever is configured; `buckets` holds their
 * cumulative counts per upper bound, as Prometheus has them.
 *
 * @throws RangeError on damaged bytes
 * @see envoy.service.metrics.v3.StreamMetricsMessage, io.prometheus.client.MetricFamily
 */
export function readMetrics(buffer: Buffer, wanted: (family: string) => boolean): MetricsReport {
  const cursor = new Cursor(buffer);
  const samples: Sample[] = [];
  let nodeId: string | undefined;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) nodeId = readIdentifier(cursor.message());
    else if (tag === bytesField(2)) readFamily(cursor.message(), wanted, samples);
    else cursor.skip(tag);
  }
  return { nodeId, samples };
}

function readIdentifier(cursor: Cursor): string {
  let id = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) id = readNodeId(cursor.message());
    else cursor.skip(tag);
  }
  return id;
}

function readFamily(cursor: Cursor, wanted: (family: string) => boolean, samples: Sample[]): void {
  let name = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) {
      name = cursor.text();
      if (!wanted(name)) return;
    } else if (tag === bytesField(4)) {
      const sample = readSample(cursor.message(), name);
      if (sample) samples.push(sample);
    } else cursor.skip(tag);
  }
}

function readSample(cursor: Cursor, family: string): Sample | undefined {
  const labels = new Map<string, string>();
  let at = 0;
  let value: Sample["value"] | undefined;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) readLabel(cursor.message(), labels);
    else if (tag === bytesField(3)) value = { kind: "counter", total: readCounter(cursor.message()) };
    else if (tag === varintField(6)) at = cursor.varint();
    else if (tag === bytesField(7)) value = readHistogram(cursor.message());
    else cursor.skip(tag);
  }
  return value && { family, at, labels, value };
}

function readLabel(cursor: Cursor, labels: Map<string, string>): void {
  let name = "";
  let value = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) name = cursor.text();
    else if (tag === bytesField(2)) value = cursor.text();
    else cursor.skip(tag);
  }
  labels.set(name, value);
}

function readCounter(cursor: Cursor): number {
  let value = 0;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === fixed64Field(1)) value = cursor.double();
    else cursor.skip(tag);
  }
  return value;
}

function readHistogram(cursor: Cursor): Sample["value"] {
  const buckets: number[] = [];
  let count = 0;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === varintField(1)) count = cursor.varint();
    else if (tag === bytesField(3)) buckets.push(readBucket(cursor.message()));
    else cursor.skip(tag);
  }
  return { kind: "histogram", buckets, count };
}

function readBucket(cursor: Cursor): number {
  let count = 0;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === varintField(1)) count = cursor.varint();
    else cursor.skip(tag);
  }
  return count;
}
