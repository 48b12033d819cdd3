import { create } from "@bufbuild/protobuf";
import { type Runtime, RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { attemptsSwitch } from "./telemetry.ts";

/** Name of the runtime layer that carries live canaries' weights. */
export const runtimeLayer = "fl";

/**
 * Builds the layer: weights by key while canaries are live, and whether attempts are looked at. Never absent.
 *
 * @see envoy.service.runtime.v3.Runtime
 */
export function buildRuntime(keys: ReadonlyMap<string, number>): Runtime {
  const attempts = [attemptsSwitch, keys.size > 0 ? 100 : 0];
  return create(RuntimeSchema, { name: runtimeLayer, layer: Object.fromEntries([...keys, attempts]) });
}
