import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import type { ClusterSchema } from "../../envoy/generated/envoy/config/cluster/v3/cluster_pb.js";
import { ProxyProtocolConfig_Version as ProxyVersion } from "../../envoy/generated/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../envoy/generated/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../../envoy/generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import type { TrafficPolicy } from "../model/destination-policy.ts";
import { outboundServerName } from "../model/names.ts";
import type { Protocol } from "../model/service.ts";
import { typed } from "./any.ts";
import { outboundMutualTls, outboundTls } from "./tls.ts";

/** What the connections of a cluster are made with. */
export interface TransportInput {
  readonly host: string;
  readonly port: { readonly number: number; readonly protocol: Protocol };
  readonly subset: string;
  readonly policy: TrafficPolicy;
  /** `as-asked`: what the client speaks to us, HTTP or not. */
  readonly http: "http1" | "http2" | "as-asked";
  /** SPIFFE IDs of the pods behind it. */
  readonly identities: readonly string[];
  /** Whether pods with a sidecar are reached by mutual TLS where no policy says otherwise. */
  readonly autoMutualTls: boolean;
  readonly trustDomain: string;
  /** No endpoint says how it is reached; whether it is by mutual TLS, this says for all. */
  readonly originalDestination: boolean;
  readonly allMutual: boolean;
}

type Transport = Pick<MessageInitShape<typeof ClusterSchema>, "transportSocket" | "transportSocketMatches">;

interface BuiltTransport {
  readonly transportSocket?: Socket;
  readonly transportSocketMatches?: SocketMatch[];
}

interface SocketMatch {
  readonly name: string;
  readonly match: { readonly tlsMode?: string };
  readonly transportSocket: Socket;
}

/** Explicit TLS of a policy rules; else each endpoint is reached as its own `tlsMode` says. */
export function buildTransport(input: TransportInput): Transport {
  const transport = withoutProxyProtocol(input);
  const version = input.policy.proxyProtocol;
  if (version === undefined) return transport;
  const { transportSocket, transportSocketMatches } = transport;
  if (transportSocketMatches === undefined)
    return { transportSocket: announced(version, transportSocket ?? rawSocket()) };
  return {
    transportSocketMatches: transportSocketMatches.map((match) => ({
      ...match,
      transportSocket: announced(version, match.transportSocket),
    })),
  };
}

function withoutProxyProtocol(input: TransportInput): BuiltTransport {
  const { policy, identities, trustDomain, http } = input;
  const { tls } = policy;
  if (tls?.mode === "disable") return {};
  if (tls?.mode === "simple" || tls?.mode === "mutual") {
    const protocols = http === "http2" ? ["h2"] : http === "as-asked" ? ["h2", "http/1.1"] : [];
    return { transportSocket: tlsSocket(outboundTls(tls, protocols)) };
  }
  const explicit = tls?.mode === "istio-mutual" ? tls : undefined;
  if (explicit === undefined && !input.autoMutualTls) return {};
  const serverName = explicit?.serverName ?? outboundServerName(input.host, input.port.number, input.subset);
  const names = explicit?.subjectAltNames ?? identities;
  const mutual = tlsSocket(outboundMutualTls(serverName, names, trustDomain, offered(input)));
  if (explicit !== undefined) return { transportSocket: mutual };
  if (input.originalDestination) return input.allMutual ? { transportSocket: mutual } : {};
  return { transportSocketMatches: matchesByMode(mutual) };
}

/**
 * What a connection offers: the server's filter chain is chosen by it. Where the client decides, it is TCP unless a
 * route says the request's protocol (see `mesh/build/alpn.ts`).
 */
function offered({ port: { protocol }, http }: TransportInput): readonly string[] {
  if (protocol === "tcp" || protocol === "tls" || protocol === "https" || http === "as-asked")
    return ["istio-peer-exchange", "istio"];
  return http === "http2" ? ["istio-h2", "istio", "h2"] : ["istio-http/1.1", "istio", "http/1.1"];
}

function matchesByMode(mutual: Socket): SocketMatch[] {
  return [
    { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: mutual },
    { name: "tlsMode-disabled", match: {}, transportSocket: rawSocket() },
  ];
}

interface Socket {
  readonly name: string;
  readonly configType: { readonly case: "typedConfig"; readonly value: Any };
}

function rawSocket(): Socket {
  return {
    name: "envoy.transport_sockets.raw_buffer",
    configType: { case: "typedConfig", value: typed(RawBufferSchema, {}) },
  };
}

/** The PROXY protocol is spoken before anything else. @see envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport */
function announced(version: 1 | 2, transportSocket: Socket): Socket {
  const config = { version: version === 2 ? ProxyVersion.V2 : ProxyVersion.V1 };
  const value = typed(ProxyProtocolUpstreamTransportSchema, { config, transportSocket });
  return {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: { case: "typedConfig", value },
  };
}

function tlsSocket(context: Any): Socket {
  return { name: "envoy.transport_sockets.tls", configType: { case: "typedConfig", value: context } };
}
