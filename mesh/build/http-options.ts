import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { MatchPredicateSchema } from "../../envoy/generated/envoy/config/common/matcher/v3/matcher_pb.js";
import { HttpProtocolOptionsSchema } from "../../envoy/generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import type { ConnectionPool } from "../model/destination-policy.ts";
import { typed } from "./any.ts";
import { durationFromMs } from "./values.ts";

/** Under which name a cluster carries its HTTP options. */
export const httpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/**
 * What is spoken to a cluster's endpoints; `as-asked`: what the client speaks to us.
 *
 * @param errorCodes statuses that count as errors of an endpoint, in place of 5xx
 * @see envoy.extensions.upstreams.http.v3.HttpProtocolOptions
 */
export function upstreamHttp(
  protocol: "http1" | "http2" | "as-asked",
  pool?: ConnectionPool,
  errorCodes: readonly number[] = [],
): Any {
  const common = commonOptions(pool);
  const http2 = {
    ...(pool?.maxConcurrentStreams !== undefined && { maxConcurrentStreams: pool.maxConcurrentStreams }),
    ...(pool?.http2Keepalive && {
      connectionKeepalive: {
        interval: durationFromMs(pool.http2Keepalive.interval),
        timeout: durationFromMs(pool.http2Keepalive.timeout),
      },
    }),
  };
  return typed(HttpProtocolOptionsSchema, {
    ...(Object.keys(common).length > 0 && { commonHttpProtocolOptions: common }),
    ...(errorCodes.length > 0 && { outlierDetection: { errorMatcher: anyStatus(errorCodes) } }),
    upstreamProtocolOptions:
      protocol === "as-asked"
        ? {
            case: "useDownstreamProtocolConfig",
            value: { httpProtocolOptions: {}, http2ProtocolOptions: http2 },
          }
        : {
            case: "explicitHttpConfig",
            value: {
              protocolConfig:
                protocol === "http2"
                  ? { case: "http2ProtocolOptions", value: http2 }
                  : { case: "httpProtocolOptions", value: {} },
            },
          },
  });
}

function commonOptions(pool: ConnectionPool | undefined) {
  return {
    ...(pool?.idleTimeout !== undefined && { idleTimeout: durationFromMs(pool.idleTimeout) }),
    ...(pool?.maxRequestsPerConnection && { maxRequestsPerConnection: pool.maxRequestsPerConnection }),
    ...(pool?.maxConnectionDuration !== undefined && {
      maxConnectionDuration: durationFromMs(pool.maxConnectionDuration),
    }),
  };
}

/** @see envoy.config.common.matcher.v3.MatchPredicate: of several rules two at least */
function anyStatus(codes: readonly number[]): MessageInitShape<typeof MatchPredicateSchema> {
  const rules = codes.map(
    (code): MessageInitShape<typeof MatchPredicateSchema> => ({
      rule: {
        case: "httpResponseHeadersMatch",
        value: {
          headers: [
            {
              name: ":status",
              headerMatchSpecifier: {
                case: "stringMatch",
                value: { matchPattern: { case: "exact", value: String(code) } },
              },
            },
          ],
        },
      },
    }),
  );
  const [only] = rules;
  return rules.length === 1 && only !== undefined ? only : { rule: { case: "orMatch", value: { rules } } };
}
