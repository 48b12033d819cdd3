import { hash } from "node:crypto";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { type Resource, type ResourceType, typeUrls } from "../build/resource.ts";
import type { View } from "../build/view.ts";
import { readStatusMessage } from "./request.ts";
import type { Responses } from "./response.ts";
import { createDeltaStream, type ProxyStream, type StreamOptions } from "./stream.ts";

/** What a client says on a state-of-the-world stream: all names that it wants of a type, and what it made of an answer. */
export interface StateRequest {
  readonly node: Uint8Array | undefined;
  readonly typeUrl: string;
  readonly names: readonly string[];
  readonly nonce: string;
  readonly error: string | undefined;
}

/**
 * Reads a DiscoveryRequest by hand.
 *
 * @see envoy.service.discovery.v3.DiscoveryRequest (node = 2, resource_names = 3, type_url = 4, response_nonce = 5,
 *   error_detail = 6)
 * @throws RangeError where the bytes are no such message
 */
export function readStateRequest(bytes: Uint8Array): StateRequest {
  let node: Uint8Array | undefined;
  let typeUrl = "";
  const names: string[] = [];
  let nonce = "";
  let error: string | undefined;
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 2) node = reader.bytes();
    else if (field === 3) names.push(reader.string());
    else if (field === 4) typeUrl = reader.string();
    else if (field === 5) nonce = reader.string();
    else if (field === 6) error = readStatusMessage(reader.bytes());
    else reader.skip(wire);
  }
  return { node, typeUrl, names, nonce, error };
}

/** A client on a state-of-the-world stream. */
export interface StateStream extends ProxyStream {
  request(type: ResourceType, request: StateRequest): void;
}

/** Types of which an answer holds everything: what it does not hold is gone. Of the others an answer may be a part. */
const whole: ReadonlySet<ResourceType> = new Set(["cluster", "listener"]);

/**
 * The state of one state-of-the-world stream: the delta stream's own order of things (make before break, two answers
 * under way at most), told in the older form.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol
 */
export function createStateStream(first: View, options: StreamOptions): StateStream {
  const asked = new Map<ResourceType, ReadonlySet<string>>();
  const inner = createDeltaStream(first, { ...options, responses: createStateResponses() });
  return {
    ...inner,
    request(type, { names, nonce, error }) {
      const before = asked.get(type);
      // No names at all ask for everything, of the types that can be asked so.
      if (before === undefined && names.length === 0 && !whole.has(type)) return;
      const wanted = new Set(names);
      asked.set(type, wanted);
      inner.request(type, {
        ...{ node: undefined, typeUrl: typeUrls[type], held: new Map(), nonce, error },
        subscribe: names.filter((name) => before?.has(name) !== true),
        unsubscribe: [...(before ?? [])].filter((name) => !wanted.has(name)),
      });
    },
  };
}

/** Encodes answers of one stream, which remembers what the client holds of the types that are told whole. */
function createStateResponses(): Responses {
  const held = new Map<ResourceType, Map<string, Resource>>();
  let count = 0;
  return {
    /** @see envoy.service.discovery.v3.DiscoveryResponse (version_info = 1, resources = 2, type_url = 4, nonce = 5) */
    delta(type, changed, removed) {
      const all = held.get(type) ?? new Map<string, Resource>();
      if (whole.has(type)) held.set(type, all);
      for (const name of removed) all.delete(name);
      for (const resource of changed) all.set(resource.name, resource);
      // The set of a type that is told in parts is of this answer alone.
      const told = [...all.values()];
      const content = told.map(({ name, version }) => `${name}=${version}`).join("\n");
      count += 1;
      const nonce = `${type} ${count}`;
      const writer = new BinaryWriter()
        .tag(1, WireType.LengthDelimited)
        .string(hash("sha1", content, "hex").slice(0, 16));
      for (const { any } of told) writer.tag(2, WireType.LengthDelimited).bytes(any);
      writer.tag(4, WireType.LengthDelimited).string(typeUrls[type]);
      writer.tag(5, WireType.LengthDelimited).string(nonce);
      const bytes = writer.finish();
      return { nonce, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
    },
  };
}
