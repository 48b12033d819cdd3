import { create } from "@bufbuild/protobuf";
import { type CidrRange, CidrRangeSchema } from "../../envoy/generated/envoy/config/core/v3/address_pb.js";
import type { Block } from "../model.ts";

/** @see envoy.config.core.v3.CidrRange */
export function cidr({ address, length }: Block): CidrRange {
  return create(CidrRangeSchema, { addressPrefix: address, prefixLen: length });
}
