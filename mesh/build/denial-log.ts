import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type AccessLog,
  type AccessLogFilter,
  AccessLogFilterSchema,
  AccessLogSchema,
  ComparisonFilter_Op,
} from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import { ExpressionFilterSchema } from "../../envoy/generated/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { StdoutAccessLogSchema } from "../../envoy/generated/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { typed } from "./any.ts";

/** First field of each line, and its value: what tells a denial from the proxy's other words. */
export const denialMark = { key: "fairlead", value: "denial" } as const;

/**
 * What of a denied request is written down: enough to find the rule and to ask again. No header of the client's but its
 * id, no query, no token.
 *
 * @see https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage#command-operators
 */
export const denialFields = {
  time: "%START_TIME%",
  requestId: "%REQ(X-REQUEST-ID)%",
  method: "%REQ(:METHOD)%",
  path: "%PATH(NQ)%",
  host: "%REQ(:AUTHORITY)%",
  status: "%RESPONSE_CODE%",
  details: "%RESPONSE_CODE_DETAILS%",
  principal: "%DOWNSTREAM_PEER_URI_SAN%",
  source: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
  client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  destination: "%DOWNSTREAM_LOCAL_ADDRESS%",
} as const;

const cel = (expression: string): MessageInitShape<typeof AccessLogFilterSchema> => ({
  filterSpecifier: {
    case: "extensionFilter",
    value: {
      name: "envoy.access_loggers.extension_filters.cel",
      configType: { case: "typedConfig", value: typed(ExpressionFilterSchema, { expression }) },
    },
  },
});

/**
 * jwt_authn and ext_authz set the flag UAEX where they refuse; RBAC says so in its details alone, and the expression is
 * worked out for answers of status 403 only.
 */
const refusedRequests = create(AccessLogFilterSchema, {
  filterSpecifier: {
    case: "orFilter",
    value: {
      filters: [
        { filterSpecifier: { case: "responseFlagFilter", value: { flags: ["UAEX"] } } },
        {
          filterSpecifier: {
            case: "andFilter",
            value: {
              filters: [
                {
                  filterSpecifier: {
                    case: "statusCodeFilter",
                    value: {
                      comparison: {
                        op: ComparisonFilter_Op.EQ,
                        value: { defaultValue: 403, runtimeKey: "fl.denials.status" },
                      },
                    },
                  },
                },
                cel("response.code_details.startsWith('rbac_access_denied')"),
              ],
            },
          },
        },
      ],
    },
  },
});

const refusedConnections = create(
  AccessLogFilterSchema,
  cel("connection.termination_details.startsWith('rbac_access_denied')"),
);

/** What there is to tell of a connection without HTTP. */
const { time, principal, source, client, destination } = denialFields;
const connectionFields = {
  ...{ time, principal, source, client, destination },
  details: "%CONNECTION_TERMINATION_DETAILS%",
};

/**
 * A line of JSON on the proxy's output for each request that its policies refused, and for no other: the sidecar's log
 * holds them as long as the node keeps logs, and who may read logs may read them.
 */
export function denialLog(): AccessLog {
  return stdout(refusedRequests, denialFields);
}

/** The same for each connection without HTTP: for the filter that would have passed it on. */
export function connectionDenialLog(): AccessLog {
  return stdout(refusedConnections, connectionFields);
}

function stdout(filter: AccessLogFilter, fields: Readonly<Record<string, string>>): AccessLog {
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.stdout",
    filter,
    configType: {
      case: "typedConfig",
      value: typed(StdoutAccessLogSchema, {
        accessLogFormat: {
          case: "logFormat",
          value: {
            format: { case: "jsonFormat", value: { [denialMark.key]: denialMark.value, ...fields } },
          },
        },
      }),
    },
  });
}
