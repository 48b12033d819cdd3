import { create } from "@bufbuild/protobuf";
import { type Runtime, RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";

/** Name of the runtime layer that carries live canaries' weights. */
export const runtimeLayer = "fl";

/** Builds the layer; empty while no canary is live, never absent. @see envoy.service.runtime.v3.Runtime */
export function buildRuntime(keys: ReadonlyMap<string, number>): Runtime {
  return create(RuntimeSchema, { name: runtimeLayer, layer: Object.fromEntries(keys) });
}
