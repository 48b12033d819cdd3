import { BinaryReader, type WireType } from "@bufbuild/protobuf/wire";

/** What a proxy says on a delta stream: a subscription, an ACK, a NACK, or several at once. */
export interface DeltaRequest {
  /** Bytes of envoy.config.core.v3.Node: 61 KB of a stock Envoy, so read only where needed. */
  readonly node: Uint8Array | undefined;
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** What a reconnecting proxy still holds: version by name. */
  readonly held: ReadonlyMap<string, string>;
  readonly nonce: string;
  /** Envoy's own words where it refused the answer with this nonce. */
  readonly error: string | undefined;
}

/**
 * Reads a DeltaDiscoveryRequest by hand: it is the hottest inbound message.
 *
 * @see envoy.service.discovery.v3.DeltaDiscoveryRequest (node = 1, type_url = 2, resource_names_subscribe = 3,
 *   resource_names_unsubscribe = 4, initial_resource_versions = 5, response_nonce = 6, error_detail = 7)
 * @throws RangeError where the bytes are no such message
 */
export function readDeltaRequest(bytes: Uint8Array): DeltaRequest {
  let node: Uint8Array | undefined;
  let typeUrl = "";
  const subscribe: string[] = [];
  const unsubscribe: string[] = [];
  const held = new Map<string, string>();
  let nonce = "";
  let error: string | undefined;
  readFields(bytes, (field, wire, reader) => {
    if (field === 1) node = reader.bytes();
    else if (field === 2) typeUrl = reader.string();
    else if (field === 3) subscribe.push(reader.string());
    else if (field === 4) unsubscribe.push(reader.string());
    else if (field === 5) held.set(...readVersionEntry(reader.bytes()));
    else if (field === 6) nonce = reader.string();
    else if (field === 7) error = readStatusMessage(reader.bytes());
    else reader.skip(wire);
  });
  return { node, typeUrl, subscribe, unsubscribe, held, nonce, error };
}

function readFields(
  bytes: Uint8Array,
  read: (field: number, wire: WireType, reader: BinaryReader) => void,
): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    read(field, wire, reader);
  }
}

/** One entry of map<string, string>: key = 1, value = 2. */
function readVersionEntry(bytes: Uint8Array): [string, string] {
  let name = "";
  let version = "";
  readFields(bytes, (field, wire, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 2) version = reader.string();
    else reader.skip(wire);
  });
  return [name, version];
}

/** google.rpc.Status: message = 2. */
export function readStatusMessage(bytes: Uint8Array): string {
  let message = "";
  readFields(bytes, (field, wire, reader) => {
    if (field === 2) message = reader.string();
    else reader.skip(wire);
  });
  return message;
}
