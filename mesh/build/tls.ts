import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
} from "../../envoy/generated/envoy/config/core/v3/config_source_pb.js";
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Version,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SdsSecretConfigSchema } from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { typed } from "./any.ts";
import { durationFromMs } from "./values.ts";

/** Cluster of every bootstrap by which the agent serves the workload's certificate. */
export const secretsCluster = "sds-grpc";

/** First protocols that a mesh client offers: a server tells by them that it meets one. */
export const meshProtocols = [
  "istio-peer-exchange",
  "istio",
  "istio-http/1.0",
  "istio-http/1.1",
  "istio-h2",
] as const;

const cipherSuites = [
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
  "AES128-GCM-SHA256",
];

/**
 * TLS of a workload's inbound port: a client certificate of the mesh is required.
 *
 * @see envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
 */
export function inboundTls(trustDomain: string, protocols: readonly string[]): Any {
  return typed(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: {
      ...identity([
        {
          sanType: SanType.URI,
          matcher: { matchPattern: { case: "prefix", value: `spiffe://${trustDomain}/` } },
        },
      ]),
      alpnProtocols: [...protocols],
      tlsParams: {
        tlsMinimumProtocolVersion: Version.TLSv1_2,
        tlsMaximumProtocolVersion: Version.TLSv1_3,
        cipherSuites,
      },
    },
  });
}

/**
 * Mutual TLS to a Service's pods: the server must be one of `identities` (SPIFFE IDs); none given: any of the mesh.
 *
 * @see envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
 */
export function outboundMutualTls(
  serverName: string,
  identities: readonly string[],
  trustDomain: string,
  protocols: readonly string[],
): Any {
  const names =
    identities.length > 0
      ? identities.map((id) => ({
          sanType: SanType.URI,
          matcher: { matchPattern: { case: "exact" as const, value: id } },
        }))
      : [
          {
            sanType: SanType.URI,
            matcher: { matchPattern: { case: "prefix" as const, value: `spiffe://${trustDomain}/` } },
          },
        ];
  return typed(UpstreamTlsContextSchema, {
    sni: serverName,
    commonTlsContext: { ...identity(names), alpnProtocols: [...protocols] },
  });
}

/** Where the proxy's image (Debian) and most Linux systems keep the public roots. */
const systemRoots = "/etc/ssl/certs/ca-certificates.crt";

/** TLS to a server outside, with the system's roots where no file is named. */
export function outboundTls(options: {
  readonly serverName: string | undefined;
  readonly subjectAltNames: readonly string[];
  readonly caCertificates: string | undefined;
  readonly protocols: readonly string[];
}): Any {
  const { serverName, subjectAltNames, caCertificates, protocols } = options;
  return typed(UpstreamTlsContextSchema, {
    ...(serverName === undefined ? { autoHostSni: true } : { sni: serverName }),
    autoSniSanValidation: subjectAltNames.length === 0,
    commonTlsContext: {
      alpnProtocols: [...protocols],
      validationContextType: {
        case: "validationContext",
        value: {
          trustedCa: { specifier: { case: "filename", value: caCertificates ?? systemRoots } },
          matchTypedSubjectAltNames: subjectAltNames.map((name) => ({
            sanType: SanType.DNS,
            matcher: { matchPattern: { case: "exact" as const, value: name } },
          })),
        },
      },
    },
  });
}

type Identity = Pick<
  MessageInitShape<typeof CommonTlsContextSchema>,
  "tlsCertificateSdsSecretConfigs" | "validationContextType"
>;
type NameMatchers = NonNullable<
  MessageInitShape<typeof CertificateValidationContextSchema>["matchTypedSubjectAltNames"]
>;

/** The workload's own certificate, and the mesh's roots with who may be on the other side. */
function identity(names: NameMatchers): Identity {
  return {
    tlsCertificateSdsSecretConfigs: [secret("default")],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: { matchTypedSubjectAltNames: names },
        validationContextSdsSecretConfig: secret("ROOTCA"),
      },
    },
  };
}

function secret(name: string) {
  return create(SdsSecretConfigSchema, {
    name,
    sdsConfig: {
      resourceApiVersion: ApiVersion.V3,
      initialFetchTimeout: durationFromMs(0),
      configSourceSpecifier: {
        case: "apiConfigSource",
        value: {
          apiType: ApiConfigSource_ApiType.GRPC,
          transportApiVersion: ApiVersion.V3,
          setNodeOnFirstMessageOnly: true,
          grpcServices: [{ targetSpecifier: { case: "envoyGrpc", value: { clusterName: secretsCluster } } }],
        },
      },
    },
  });
}
