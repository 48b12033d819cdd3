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
  const version = hash("sha1", value, "hex").slice(0, 16);
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
  // One piece of memory for both forms: the second is a part of the first.
  const delta = new Uint8Array(before.length + head.length + value.length + after.length);
  delta.set(before, 0);
  delta.set(head, before.length);
  delta.set(value, before.length + head.length);
  delta.set(after, before.length + head.length + value.length);
  const any = delta.subarray(before.length, before.length + head.length + value.length);
  return { type, name, version, any, delta, sources };
}

/** Whether two resources are one to a proxy. */
export function isSameVersion(a: Resource, b: Resource): boolean {
  return a.version === b.version;
}
