import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
} from "../../envoy/generated/envoy/config/core/v3/config_source_pb.js";
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  CertificateValidationContext_TrustChainVerification as Verification,
  TlsParameters_TlsProtocol as Version,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SdsSecretConfigSchema } from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { ExternalTls } from "../model/destination-policy.ts";
import { typed } from "./any.ts";
import { durationFromMs, fromAds } from "./values.ts";

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

export const cipherSuites = [
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

/**
 * TLS to a server outside of the mesh, with the system's roots where none are named; with a certificate of our own where
 * the policy has one. Without a server name it is the request's host.
 *
 * A Secret (`credentialName`) comes by the discovery stream, as `kubernetes://<name>` and `kubernetes://<name>-cacert`.
 */
export function outboundTls(policy: ExternalTls, protocols: readonly string[]): Any {
  const { mode, serverName, subjectAltNames = [], credentialName, clientCertificate, privateKey } = policy;
  const { clientSecret } = policy;
  const check: NonNullable<MessageInitShape<typeof CertificateValidationContextSchema>> = {
    matchTypedSubjectAltNames: subjectAltNames.flatMap((name) => anyKind(name)),
    ...(policy.caCrl !== undefined && { crl: file(policy.caCrl) }),
    ...(policy.skipVerify && { trustChainVerification: Verification.ACCEPT_UNTRUSTED }),
  };
  const ofSecret = credentialName !== undefined;
  return typed(UpstreamTlsContextSchema, {
    ...(serverName === undefined ? { autoHostSni: true } : { sni: serverName }),
    autoSniSanValidation: serverName === undefined && subjectAltNames.length === 0 && !policy.skipVerify,
    commonTlsContext: {
      alpnProtocols: [...protocols],
      ...(mode === "mutual" && !ofSecret
        ? {
            tlsCertificates: [
              { certificateChain: file(clientCertificate ?? ""), privateKey: file(privateKey ?? "") },
            ],
          }
        : {}),
      ...(mode === "mutual" && ofSecret
        ? { tlsCertificateSdsSecretConfigs: [streamedSecret(`kubernetes://${credentialName}`)] }
        : {}),
      ...(mode === "simple" && clientSecret !== undefined
        ? { tlsCertificateSdsSecretConfigs: [streamedSecret(clientSecret)] }
        : {}),
      validationContextType: ofSecret
        ? {
            case: "combinedValidationContext",
            value: {
              defaultValidationContext: check,
              validationContextSdsSecretConfig: streamedSecret(`kubernetes://${credentialName}-cacert`),
            },
          }
        : {
            case: "validationContext",
            value: { ...check, ...trusted(policy) },
          },
    },
  });
}

/** The roots. Where they were asked for and none can be read, no certificate is good: its hash would have to be zero. */
function trusted({ rootsPem, caCertificates }: ExternalTls) {
  if (rootsPem === undefined) return { trustedCa: file(caCertificates ?? systemRoots) };
  if (rootsPem === "") return { trustedCa: file(systemRoots), verifyCertificateHash: ["0".repeat(64)] };
  return { trustedCa: { specifier: { case: "inlineString" as const, value: rootsPem } } };
}

/** A name that the server must have: a SPIFFE ID or another URI, else a host name. */
function anyKind(name: string): NameMatchers {
  const matcher = { matchPattern: { case: "exact" as const, value: name } };
  return [{ sanType: name.includes("://") ? SanType.URI : SanType.DNS, matcher }];
}

function file(filename: string) {
  return { specifier: { case: "filename" as const, value: filename } };
}

function streamedSecret(name: string) {
  return create(SdsSecretConfigSchema, { name, sdsConfig: fromAds() });
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
