import { bytesField, Cursor, varintField } from "./wire.ts";

/** What the trip wire needs of one access log entry. */
export interface AttemptEntry {
  /** `host:port` of the downstream connection. */
  readonly downstream: string;
  /** Epoch milliseconds when the attempt ended. */
  readonly end: number;
  readonly upstreamCluster: string;
  /** Short names as Envoy prints them, e.g. `UF`. */
  readonly flags: readonly string[];
  /** 0 where no response came. */
  readonly status: number;
  /** undefined where the response carried none. */
  readonly grpcStatus: number | undefined;
  /** Custom tags of the log, by name. */
  readonly tags: ReadonlyMap<string, string>;
}

export interface AccessLogBatch {
  /** Present in the first message of a stream only. */
  readonly identifier: { readonly nodeId: string; readonly logName: string } | undefined;
  readonly entries: readonly AttemptEntry[];
}

/**
 * Reads a message of Envoy's gRPC access log.
 *
 * @throws RangeError on damaged bytes
 * @see envoy.service.accesslog.v3.StreamAccessLogsMessage, envoy.data.accesslog.v3.HTTPAccessLogEntry
 */
export function readAccessLogs(buffer: Buffer): AccessLogBatch {
  const cursor = new Cursor(buffer);
  const entries: AttemptEntry[] = [];
  let identifier: AccessLogBatch["identifier"];
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) identifier = readIdentifier(cursor.message());
    else if (tag === bytesField(2)) readEntries(cursor.message(), entries);
    else cursor.skip(tag);
  }
  return { identifier, entries };
}

/** `Node.id` of a node message; its 61 KB of extensions are passed over. */
export function readNodeId(node: Cursor): string {
  let id = "";
  for (let tag = node.tag(); tag !== 0; tag = node.tag()) {
    if (tag === bytesField(1)) id = node.text();
    else node.skip(tag);
  }
  return id;
}

function readIdentifier(cursor: Cursor): { nodeId: string; logName: string } {
  let nodeId = "";
  let logName = "";
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) nodeId = readNodeId(cursor.message());
    else if (tag === bytesField(2)) logName = cursor.text();
    else cursor.skip(tag);
  }
  return { nodeId, logName };
}

function readEntries(cursor: Cursor, entries: AttemptEntry[]): void {
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) entries.push(readEntry(cursor.message()));
    else cursor.skip(tag);
  }
}

const noTags: ReadonlyMap<string, string> = new Map();

function readEntry(cursor: Cursor): AttemptEntry {
  let common: Omit<AttemptEntry, "status" | "grpcStatus"> = {
    downstream: "",
    end: 0,
    upstreamCluster: "",
    flags: [],
    tags: noTags,
  };
  let response: Pick<AttemptEntry, "status" | "grpcStatus"> = { status: 0, grpcStatus: undefined };
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) common = readCommon(cursor.message());
    else if (tag === bytesField(4)) response = readResponse(cursor.message());
    else cursor.skip(tag);
  }
  // Named one by one: two spread objects take V8 a property at a time.
  return {
    downstream: common.downstream,
    end: common.end,
    upstreamCluster: common.upstreamCluster,
    flags: common.flags,
    status: response.status,
    grpcStatus: response.grpcStatus,
    tags: common.tags,
  };
}

function readCommon(cursor: Cursor): Omit<AttemptEntry, "status" | "grpcStatus"> {
  let downstream = "";
  let start = 0;
  let duration = 0;
  let upstreamCluster = "";
  let flags: string[] = [];
  let tags: Map<string, string> | undefined;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(2)) downstream = readAddress(cursor.message());
    else if (tag === bytesField(5)) start = readSeconds(cursor.message());
    else if (tag === bytesField(15)) upstreamCluster = cursor.text();
    else if (tag === bytesField(16)) flags = readFlags(cursor.message());
    else if (tag === bytesField(22)) {
      tags ??= new Map();
      tags.set(...readTextEntry(cursor.message()));
    } else if (tag === bytesField(23)) duration = readSeconds(cursor.message());
    else cursor.skip(tag);
  }
  return { downstream, end: (start + duration) * 1000, upstreamCluster, flags, tags: tags ?? noTags };
}

/** google.protobuf.Timestamp and Duration alike, in seconds. */
function readSeconds(cursor: Cursor): number {
  let seconds = 0;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === varintField(1)) seconds += cursor.varint();
    else if (tag === varintField(2)) seconds += cursor.varint() / 1e9;
    else cursor.skip(tag);
  }
  return seconds;
}

/** core.v3.Address with a socket address. */
function readAddress(cursor: Cursor): string {
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag !== bytesField(1)) {
      cursor.skip(tag);
      continue;
    }
    const socket = cursor.message();
    let host = "";
    let port = 0;
    for (let inner = socket.tag(); inner !== 0; inner = socket.tag()) {
      if (inner === bytesField(2)) host = socket.text();
      else if (inner === varintField(3)) port = socket.varint();
      else socket.skip(inner);
    }
    return `${host}:${port}`;
  }
  return "";
}

function readResponse(cursor: Cursor): Pick<AttemptEntry, "status" | "grpcStatus"> {
  let status = 0;
  let grpcStatus: number | undefined;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === bytesField(1)) status = readWrappedNumber(cursor.message());
    else if (tag === bytesField(4) || tag === bytesField(5))
      grpcStatus = readGrpcStatus(cursor.message()) ?? grpcStatus;
    else cursor.skip(tag);
  }
  return { status, grpcStatus };
}

function readWrappedNumber(cursor: Cursor): number {
  let value = 0;
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    if (tag === varintField(1)) value = cursor.varint();
    else cursor.skip(tag);
  }
  return value;
}

/** One entry of the map of logged headers or trailers. */
function readGrpcStatus(entry: Cursor): number | undefined {
  const [name, value] = readTextEntry(entry);
  return name === "grpc-status" && /^\d{1,2}$/.test(value) ? Number(value) : undefined;
}

/** One entry of a map from text to text. */
function readTextEntry(entry: Cursor): [name: string, value: string] {
  let name = "";
  let value = "";
  for (let tag = entry.tag(); tag !== 0; tag = entry.tag()) {
    if (tag === bytesField(1)) name = entry.text();
    else if (tag === bytesField(2)) value = entry.text();
    else entry.skip(tag);
  }
  return [name, value];
}

/** Field number of data.accesslog.v3.ResponseFlags → the flag as Envoy's text log spells it. */
const flagNames: readonly string[] = [
  "",
  "LH",
  "UH",
  "UT",
  "LR",
  "UR",
  "UF",
  "UC",
  "UO",
  "NR",
  "DI",
  "FI",
  "RL",
  "UAEX",
  "RLSE",
  "DC",
  "URX",
  "SI",
  "IH",
  "DPE",
  "UMSDR",
  "RFCF",
  "NFCF",
  "DT",
  "UPE",
  "NC",
  "OM",
  "DF",
  "DR",
];

function readFlags(cursor: Cursor): string[] {
  const flags: string[] = [];
  for (let tag = cursor.tag(); tag !== 0; tag = cursor.tag()) {
    const name = flagNames[tag >>> 3];
    cursor.skip(tag);
    if (name) flags.push(name);
  }
  return flags;
}
