/**
 * The caller's names as request headers, from just before the tree until just behind it.
 *
 * Matcher inputs that read certificates have no answer on plain connections, and Envoy passes over a filter whose matcher
 * has no answer: ALLOW rules would then let everybody in. A header is there or not, so nothing is passed over.
 */
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { HeaderValueOption_HeaderAppendAction as Append } from "../../../envoy/generated/envoy/config/core/v3/base_pb.js";
import { HeaderMutationSchema } from "../../../envoy/generated/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import type { HttpFilter } from "../../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { HttpRequestHeaderMatchInputSchema } from "../../../envoy/generated/envoy/type/matcher/v3/http_inputs_pb.js";
import {
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from "../../../envoy/generated/xds/core/v3/extension_pb.js";
import { httpFilter } from "../http-filter.ts";

/** URI SANs, `-` where there is none. */
export const peerHeader = "x-fairlead-peer";
/** DNS SANs, a bar, the subject. */
export const namesHeader = "x-fairlead-peer-names";

const name = "envoy.filters.http.header_mutation";

/** Writes the caller's names, over whatever the client sent. */
export function showPeer(): HttpFilter {
  const set = (key: string, value: string) => ({
    action: {
      case: "append" as const,
      value: {
        header: { key, value },
        appendAction: Append.OVERWRITE_IF_EXISTS_OR_ADD,
        keepEmptyValue: true,
      },
    },
  });
  return httpFilter(name, HeaderMutationSchema, {
    mutations: {
      requestMutations: [
        set(peerHeader, "%DOWNSTREAM_PEER_URI_SAN%"),
        set(namesHeader, "%DOWNSTREAM_PEER_DNS_SAN%|%DOWNSTREAM_PEER_SUBJECT%"),
      ],
    },
  });
}

/** Takes them away again. */
export function hidePeer(): HttpFilter {
  const remove = (value: string) => ({ action: { case: "remove" as const, value } });
  return httpFilter(name, HeaderMutationSchema, {
    mutations: { requestMutations: [remove(peerHeader), remove(namesHeader)] },
  });
}

/** A request header as what a matcher looks at. */
export function headerInput(headerName: string): TypedExtensionConfig {
  return extension(headerName, HttpRequestHeaderMatchInputSchema, { headerName });
}

export function extension<Desc extends DescMessage>(
  name: string,
  schema: Desc,
  config: MessageInitShape<Desc>,
): TypedExtensionConfig {
  return create(TypedExtensionConfigSchema, { name, typedConfig: anyPack(schema, create(schema, config)) });
}
