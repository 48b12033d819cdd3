import type { Any } from "@bufbuild/protobuf/wkt";
import { HttpProtocolOptionsSchema } from "../../envoy/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { ConnectionPool } from "../model/destination-policy.ts";
import { typed } from "./any.ts";
import { durationFromMs } from "./values.ts";

/** Under which name a cluster carries its HTTP options. */
export const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/**
 * What is spoken to a cluster's endpoints; `as-asked`: what the client speaks to us.
 *
 * @see envoy.extensions.upstreams.http.v3.HttpProtocolOptions
 */
export function upstreamHttp(protocol: "http1" | "http2" | "as-asked", pool?: ConnectionPool): Any {
  const streams =
    pool?.maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams: pool.maxConcurrentStreams };
  return typed(HttpProtocolOptionsSchema, {
    ...(pool?.idleTimeout !== undefined || pool?.maxRequestsPerConnection
      ? {
          commonHttpProtocolOptions: {
            ...(pool.idleTimeout !== undefined && { idleTimeout: durationFromMs(pool.idleTimeout) }),
            ...(pool.maxRequestsPerConnection && { maxRequestsPerConnection: pool.maxRequestsPerConnection }),
          },
        }
      : {}),
    upstreamProtocolOptions:
      protocol === "as-asked"
        ? {
            case: "useDownstreamProtocolConfig",
            value: { httpProtocolOptions: {}, http2ProtocolOptions: streams },
          }
        : {
            case: "explicitHttpConfig",
            value: {
              protocolConfig:
                protocol === "http2"
                  ? { case: "http2ProtocolOptions", value: streams }
                  : { case: "httpProtocolOptions", value: {} },
            },
          },
  });
}
