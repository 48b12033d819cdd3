import { hash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { ResourceRef } from "../../api/resource.ts";

/** The discovery services that we serve, in the order in which a proxy must get to know them. */
export const resourceTypes = ["runtime", "cluster", "endpoint", "listener", "route", "secret"] as const;
export type ResourceType = (typeof resourceTypes)[number];

const prefix = "type.googleapis.com/";
export const typeUrls: Readonly<Record<ResourceType, string>> = {
  runtime: `${prefix}envoy.service.runtime.v3.Runtime`,
  cluster: `${prefix}envoy.config.cluster.v3.Cluster`,
  endpoint: `${prefix}envoy.config.endpoint.v3.ClusterLoadAssignment`,
  listener: `${prefix}envoy.config.listener.v3.Listener`,
  route: `${prefix}envoy.config.route.v3.RouteConfiguration`,
  secret: `${prefix}envoy.extensions.transport_sockets.tls.v3.Secret`,
};

/** A user's object that a resource was made of: who hears of it when a proxy refuses the resource. */
export interface Sourced {
  readonly source: ResourceRef;
}

/** One Envoy resource, encoded once for all proxies that see it. */
export interface Resource {
  readonly type: ResourceType;
  readonly name: string;
  /** 64 bits of a hash of the content, as text: equal content has an equal version after any restart. */
  readonly version: string;
  /** Bytes of google.protobuf.Any: the content with its type. */
  readonly any: Uint8Array;
  /** Bytes of envoy.service.discovery.v3.Resource, as delta answers carry it. */
  readonly delta: Uint8Array;
  readonly sources: ReadonlySet<Sourced>;
}

const noSources: ReadonlySet<Sourced> = new Set();

/**
 * Encodes `message` as the resource `name`.
 *
 * @see envoy.service.discovery.v3.Resource (version = 1, resource = 2, name = 3), google.protobuf.Any
 */
export function encodeResource<Schema extends DescMessage>(
  type: ResourceType,
  name: string,
  schema: Schema,
  message: MessageShape<Schema>,
  sources: ReadonlySet<Sourced> = noSources,
): Resource {
  return encodeBytes(type, name, toBinary(schema, message), sources);
}

/** {@link encodeResource} of a message that is encoded already. */
export function encodeBytes(
  type: ResourceType,
  name: string,
  value: Uint8Array,
  sources: ReadonlySet<Sourced>,
): Resource {
  const version = versionOf(value);
  return { type, name, version, ...wrap(type, name, version, value), sources };
}

/**
 * {@link encodeResource} of a message that one proxy alone gets: its bytes are kept for as long as memory is no matter and
 * made again where they are asked for after that. A thousand sidecars have 74 MB of listeners that nobody reads twice.
 *
 * @param build makes the same message each time
 */
export function encodeOwn<Schema extends DescMessage>(
  type: ResourceType,
  schema: Schema,
  build: () => MessageShape<Schema> & { readonly name: string },
): Resource {
  const message = build();
  const { name } = message;
  const value = toBinary<DescMessage>(schema, message);
  const version = versionOf(value);
  let kept = new WeakRef(wrap(type, name, version, value));
  const bytes = () => {
    const known = kept.deref();
    if (known !== undefined) return known;
    const again = wrap(type, name, version, toBinary<DescMessage>(schema, build()));
    kept = new WeakRef(again);
    return again;
  };
  return {
    ...{ type, name, version, sources: noSources },
    get any() {
      return bytes().any;
    },
    get delta() {
      return bytes().delta;
    },
  };
}

const versionOf = (value: Uint8Array): string => hash("sha1", value, "hex").slice(0, 16);

/** One piece of memory for both forms: the second is a part of the first. */
function wrap(
  type: ResourceType,
  name: string,
  version: string,
  value: Uint8Array,
): Pick<Resource, "any" | "delta"> {
  const head = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(typeUrls[type])
    .tag(2, WireType.LengthDelimited)
    .uint32(value.length)
    .finish();
  const before = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .string(version)
    .tag(2, WireType.LengthDelimited)
    .uint32(head.length + value.length)
    .finish();
  const after = new BinaryWriter().tag(3, WireType.LengthDelimited).string(name).finish();
  const delta = new Uint8Array(before.length + head.length + value.length + after.length);
  delta.set(before, 0);
  delta.set(head, before.length);
  delta.set(value, before.length + head.length);
  delta.set(after, before.length + head.length + value.length);
  const any = delta.subarray(before.length, before.length + head.length + value.length);
  return { any, delta };
}

/** Whether two resources are one to a proxy. */
export function isSameVersion(a: Resource, b: Resource): boolean {
  return a.version === b.version;
}
