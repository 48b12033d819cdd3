import type { Any } from "@bufbuild/protobuf/wkt";
import { FilterStateValue_SharedWithUpstream as Shared } from "../../envoy/generated/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js";
import { ConfigSchema } from "../../envoy/generated/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { typed } from "./any.ts";

export const alpnFilter = "envoy.filters.http.set_filter_state";

/** The filter where a route says nothing else: it does nothing. */
export function noAlpn(): Any {
  return typed(ConfigSchema, {});
}

/**
 * Of a route to endpoints that are spoken to as the client speaks to us: the connection offers the protocol of this very
 * request. The server's sidecar tells by it HTTP/1.1, HTTP/2 and (where nothing is said) plain TCP apart, which share
 * the port.
 *
 * @see envoy.extensions.filters.http.set_filter_state.v3.Config, the object `envoy.network.application_protocols`
 */
export function alpnAsAsked(): Any {
  const offered = "request.protocol == 'HTTP/2' ? 'istio-h2,istio,h2' : 'istio-http/1.1,istio,http/1.1'";
  return typed(ConfigSchema, {
    onRequestHeaders: [
      {
        key: { case: "objectKey", value: "envoy.network.application_protocols" },
        value: {
          case: "formatString",
          value: {
            format: {
              case: "textFormatSource",
              value: { specifier: { case: "inlineString", value: `%CEL(${offered})%` } },
            },
            formatters: [],
          },
        },
        sharedWithUpstream: Shared.ONCE,
      },
    ],
  });
}
