import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import type {
  AddressSchema,
  CidrRangeSchema,
} from "../../envoy/generated/envoy/config/core/v3/address_pb.js";
import {
  ApiVersion,
  type ConfigSource,
  ConfigSourceSchema,
} from "../../envoy/generated/envoy/config/core/v3/config_source_pb.js";
import type { Milliseconds } from "../../lib/units.ts";

export function durationFromMs(milliseconds: Milliseconds): Duration {
  const seconds = Math.floor(milliseconds / 1000);
  return create(DurationSchema, {
    seconds: BigInt(seconds),
    nanos: Math.round((milliseconds - seconds * 1000) * 1_000_000),
  });
}

export function socketAddress(address: string, port: number): MessageInitShape<typeof AddressSchema> {
  return {
    address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } },
  };
}

/** A Unix socket. */
export function pipe(path: string): MessageInitShape<typeof AddressSchema> {
  return { address: { case: "pipe", value: { path } } };
}

/** An address or CIDR. @see envoy.config.core.v3.CidrRange */
export function cidrRange(subnet: string): MessageInitShape<typeof CidrRangeSchema> {
  const [addressPrefix = "", length] = subnet.split("/");
  const whole = addressPrefix.includes(":") ? 128 : 32;
  return { addressPrefix, prefixLen: length === undefined ? whole : Number(length) };
}

/** From the stream that everything else comes by. `initialFetchTimeout` in milliseconds; 0 waits for ever. */
export function fromAds(initialFetchTimeout = 0): ConfigSource {
  return create(ConfigSourceSchema, {
    resourceApiVersion: ApiVersion.V3,
    initialFetchTimeout: durationFromMs(initialFetchTimeout),
    configSourceSpecifier: { case: "ads", value: {} },
  });
}

/** The largest value of a limit: Envoy's own defaults (1,024 connections, 3 retries) would cut traffic silently. */
export const unlimited = 4_294_967_295;
