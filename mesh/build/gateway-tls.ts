import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Version,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
  SecretSchema,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from "../../envoy/generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { Credential } from "../model/credential.ts";
import type { TerminatingTls, TlsVersion } from "../model/gateway.ts";
import { credentialName, rootsName, rootsRef } from "../model/gateway-plan.ts";
import { typed } from "./any.ts";
import { encodeResource, type Resource } from "./resource.ts";
import { cipherSuites, inboundTls } from "./tls.ts";
import { fromAds } from "./values.ts";

/**
 * TLS of a gateway's server. Certificates come by SDS from the control plane, by the names of {@link credentialName}.
 *
 * @param credentials by those names; they tell where the roots of clients' certificates stand
 * @param protocols offered by ALPN
 * @see envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
 */
export function gatewayTls(
  tls: TerminatingTls,
  credentials: ReadonlyMap<string, Credential>,
  trustDomain: string,
  protocols: readonly string[],
): Any {
  if (tls.mode === "istio-mutual") return inboundTls(trustDomain, protocols);
  const context: MessageInitShape<typeof CommonTlsContextSchema> = {
    alpnProtocols: [...protocols],
    tlsParams: {
      tlsMinimumProtocolVersion: versions[tls.minVersion ?? "1.2"],
      tlsMaximumProtocolVersion: tls.maxVersion === undefined ? Version.TLSv1_3 : versions[tls.maxVersion],
      cipherSuites: tls.cipherSuites.length > 0 ? [...tls.cipherSuites] : cipherSuites,
    },
    ...certificates(tls),
    ...(tls.mode !== "simple" && validation(tls, credentials)),
  };
  return typed(DownstreamTlsContextSchema, {
    requireClientCertificate: tls.mode === "mutual",
    commonTlsContext: context,
  });
}

const versions: Readonly<Record<TlsVersion, Version>> = {
  "1.0": Version.TLSv1_0,
  "1.1": Version.TLSv1_1,
  "1.2": Version.TLSv1_2,
  "1.3": Version.TLSv1_3,
};

function certificates({
  files,
  credentials,
}: TerminatingTls): Pick<
  MessageInitShape<typeof CommonTlsContextSchema>,
  "tlsCertificates" | "tlsCertificateSdsSecretConfigs"
> {
  if (files !== undefined) {
    return {
      tlsCertificates: files.certificates.map(({ certificate, key }) => ({
        certificateChain: { specifier: { case: "filename", value: certificate } },
        privateKey: { specifier: { case: "filename", value: key } },
      })),
    };
  }
  return { tlsCertificateSdsSecretConfigs: credentials.map((ref) => secretByAds(credentialName(ref))) };
}

function validation(
  tls: TerminatingTls,
  credentials: ReadonlyMap<string, Credential>,
): Pick<MessageInitShape<typeof CommonTlsContextSchema>, "validationContextType"> {
  const { files, subjectAltNames, certificateHashes, certificateSpki } = tls;
  const wanted: MessageInitShape<typeof CertificateValidationContextSchema> = {
    matchTypedSubjectAltNames: subjectAltNames.flatMap((name) =>
      [SanType.DNS, SanType.URI].map((sanType) => ({
        sanType,
        matcher: { matchPattern: { case: "exact" as const, value: name } },
      })),
    ),
    verifyCertificateHash: [...certificateHashes],
    verifyCertificateSpki: [...certificateSpki],
  };
  const roots = rootsRef(tls, (ref) => credentials.has(rootsName(ref)));
  if (roots === undefined) {
    const file = (filename: string) => ({ specifier: { case: "filename" as const, value: filename } });
    return {
      validationContextType: {
        case: "validationContext",
        value: {
          ...wanted,
          ...(files?.roots && { trustedCa: file(files.roots) }),
          ...(files?.revoked && { crl: file(files.revoked) }),
        },
      },
    };
  }
  return {
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: wanted,
        validationContextSdsSecretConfig: secretByAds(rootsName(roots)),
      },
    },
  };
}

function secretByAds(name: string): SdsSecretConfig {
  return create(SdsSecretConfigSchema, { name, sdsConfig: fromAds() });
}

/** A credential as its SDS resources: certificate and key, or roots where the name says so. */
export function secretResource(name: string, credential: Credential): Resource {
  const inline = (text: string | undefined) => ({
    specifier: { case: "inlineString" as const, value: text ?? "" },
  });
  const { certificate, key, roots, revoked } = credential;
  const secret = create(SecretSchema, {
    name,
    type: name.endsWith("-cacert")
      ? {
          case: "validationContext",
          value: { trustedCa: inline(roots), ...(revoked !== undefined && { crl: inline(revoked) }) },
        }
      : {
          case: "tlsCertificate",
          value: { certificateChain: inline(certificate), privateKey: inline(key) },
        },
  });
  return encodeResource("secret", name, SecretSchema, secret);
}
