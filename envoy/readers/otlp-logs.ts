import { bytesField, Cursor, fixed64Field } from "./wire.ts";

/** One entry of a log. */
export interface LogRecord {
  /** Epoch milliseconds when what it tells of began. */
  readonly at: number;
  /** Its text; empty where it has none. */
  readonly text: string;
}

export interface LogsExport {
  /** Who tells, unread: the same bytes in each message of one proxy. */
  readonly resource: Buffer;
  readonly records: readonly LogRecord[];
}

const nothing = Buffer.alloc(0);

/**
 * Reads what Envoy's OpenTelemetry access log sends: one resource, and its records. Attributes are passed over.
 *
 * @throws RangeError on damaged bytes
 * @see opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest
 */
export function readLogsExport(buffer: Buffer): LogsExport {
  const records: LogRecord[] = [];
  let resource: Buffer = nothing;
  const request = new Cursor(buffer);
  for (let tag = request.tag(); tag !== 0; tag = request.tag()) {
    if (tag !== bytesField(1)) {
      request.skip(tag);
      continue;
    }
    const logs = request.message();
    for (let inner = logs.tag(); inner !== 0; inner = logs.tag()) {
      if (inner === bytesField(1)) resource = logs.bytes();
      else if (inner === bytesField(2)) readScope(logs.message(), records);
      else logs.skip(inner);
    }
  }
  return { resource, records };
}

/**
 * Id of the node that a resource names; empty where it names none.
 *
 * @throws RangeError on damaged bytes
 * @see opentelemetry.proto.resource.v1.Resource
 */
export function readNodeName(resource: Buffer): string {
  const cursor = new Cursor(resource);
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag !== bytesField(1)) {
      cursor.skip(tag);
      continue;
    }
    const attribute = cursor.message();
    let key = "";
    let value = "";
    for (let inner = attribute.tag(); inner !== 0; inner = attribute.tag()) {
      if (inner === bytesField(1)) key = attribute.text();
      else if (inner === bytesField(2)) value = readText(attribute.message());
      else attribute.skip(inner);
    }
    if (key === "node_name") return value;
  }
  return "";
}

function readScope(cursor: Cursor, records: LogRecord[]): void {
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(2)) records.push(readRecord(cursor.message()));
    else cursor.skip(tag);
  }
}

function readRecord(cursor: Cursor): LogRecord {
  let at = 0;
  let text = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === fixed64Field(1)) at = cursor.fixed64() / 1e6;
    else if (tag === bytesField(5)) text = readText(cursor.message());
    else cursor.skip(tag);
  }
  return { at, text };
}

/** AnyValue with a string. */
function readText(cursor: Cursor): string {
  let text = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) text = cursor.text();
    else cursor.skip(tag);
  }
  return text;
}
