import type { Any } from "@bufbuild/protobuf/wkt";
import { HTTPFaultSchema } from "../../envoy/generated/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import type { Fault } from "../model/route.ts";
import { typed } from "./any.ts";
import { fraction } from "./fraction.ts";
import { durationFromMs } from "./values.ts";

export const faultFilter = "envoy.filters.http.fault";

/** Envoy draws for each fault anew, whatever it drew for weights. @see envoy.extensions.filters.http.fault.v3.HTTPFault */
export function buildFault({ delay, abort }: Fault): Any {
  return typed(HTTPFaultSchema, {
    ...(delay && {
      delay: {
        faultDelaySecifier: { case: "fixedDelay", value: durationFromMs(delay.duration) },
        percentage: fraction(delay.percent),
      },
    }),
    ...(abort && {
      abort: {
        errorType:
          abort.status.kind === "http"
            ? { case: "httpStatus", value: abort.status.code }
            : { case: "grpcStatus", value: abort.status.code },
        percentage: fraction(abort.percent),
      },
    }),
  });
}
