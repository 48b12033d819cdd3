import { create } from "@bufbuild/protobuf";
import {
  type Filter,
  FilterSchema,
} from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import { ConfigSchema } from "../../envoy/generated/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js";
import { typed } from "./any.ts";

/** What the certificate of a connection's peer says of its workload. */
export type PeerFact = "workload" | "app" | "version" | "namespace" | "security";

const keyOf = (fact: PeerFact) => `fairlead.peer.${fact}`;

/** As a tag's or a log's format reads it; missing where the peer has shown no certificate. */
export function peerFact(fact: PeerFact): string {
  return `%FILTER_STATE(${keyOf(fact)}:PLAIN)%`;
}

const subject = (pattern: string) => `re.extract(connection.subject_peer_certificate, '${pattern}', '\\\\1')`;

/** The certificate's subject is `CN=<workload>,OU=<version>,OU=<app>,O=<namespace>`: the CA alone writes it. */
const expressions: Readonly<Record<PeerFact, string>> = {
  workload: subject("^CN=([^,]*),.*"),
  app: subject("^CN=[^,]*,OU=[^,]*,OU=([^,]*),O=.*"),
  version: subject("^CN=[^,]*,OU=([^,]*),OU=[^,]*,O=.*"),
  namespace: subject(".*O=([^,]*)$"),
  security: "connection.mtls ? 'mutual_tls' : 'none'",
};

/**
 * Reads the peer's facts once, when its handshake is done: an expression takes Envoy five to ten microseconds, and each
 * of four series of each request would need all of them.
 *
 * @see envoy.extensions.filters.network.set_filter_state.v3.Config.on_downstream_tls_handshake
 */
export function peerFacts(): Filter {
  const onDownstreamTlsHandshake = Object.entries(expressions).map(([fact, expression]) => ({
    key: { case: "objectKey" as const, value: keyOf(fact as PeerFact) },
    factoryKey: "envoy.string",
    skipIfEmpty: true,
    value: {
      case: "formatString" as const,
      value: {
        format: {
          case: "textFormatSource" as const,
          value: { specifier: { case: "inlineString" as const, value: `%CEL(${expression})%` } },
        },
        omitEmptyValues: true,
      },
    },
  }));
  return create(FilterSchema, {
    name: "envoy.filters.network.set_filter_state",
    configType: { case: "typedConfig", value: typed(ConfigSchema, { onDownstreamTlsHandshake }) },
  });
}
