import { create, type JsonValue } from "@bufbuild/protobuf";
import { type Runtime, RuntimeSchema } from "../../envoy/generated/envoy/service/runtime/v3/rtds_pb.js";
import { attemptsSwitch, shieldSwitch } from "./attempt-log.ts";
import { isShieldKey } from "./shield.ts";

/** Name of the runtime layer that carries live canaries' weights. */
export const runtimeLayer = "fl";

/**
 * Builds the layer: weights and shielded shares by key while canaries are live, and whether attempts are looked at and
 * counted. Never absent.
 *
 * @see envoy.service.runtime.v3.Runtime
 */
export function buildRuntime(keys: ReadonlyMap<string, number>): Runtime {
  const layer: Record<string, JsonValue> = {};
  for (const [key, value] of keys)
    layer[key] = isShieldKey(key) ? { numerator: value, denominator: "MILLION" } : value;
  layer[attemptsSwitch] = keys.size > 0 ? 100 : 0;
  if ([...keys.keys()].some(isShieldKey)) layer[shieldSwitch] = 100;
  return create(RuntimeSchema, { name: runtimeLayer, layer });
}
