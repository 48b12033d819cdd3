import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type handleUnaryCall, type ServerUnaryCall, type ServiceDefinition, status } from "@grpc/grpc-js";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../envoy/generated/istio/ca_pb.js";
import { ApiError } from "../../kube/error.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Credentials, Proven } from "./authenticate.ts";
import type { Authority } from "./authority.ts";
import { issueCertificate } from "./issue.ts";
import { IssueError } from "./issue-error.ts";
import { formatSpiffeId } from "./spiffe.ts";

/** `istio.v1.auth.IstioCertificateService`, for `grpc.Server.addService`. */
export const certificateServiceDefinition = {
  CreateCertificate: {
    path: "/istio.v1.auth.IstioCertificateService/CreateCertificate",
    requestStream: false,
    responseStream: false,
    requestSerialize: (message: IstioCertificateRequest) =>
      Buffer.from(toBinary(IstioCertificateRequestSchema, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateRequestSchema, bytes),
    responseSerialize: (message: IstioCertificateResponse) =>
      Buffer.from(toBinary(IstioCertificateResponseSchema, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(IstioCertificateResponseSchema, bytes),
  },
} satisfies ServiceDefinition;

const statusByCode = {
  "malformed-csr": status.INVALID_ARGUMENT,
  unauthenticated: status.UNAUTHENTICATED,
  "identity-mismatch": status.PERMISSION_DENIED,
  "root-expired": status.FAILED_PRECONDITION,
} as const;

/** The CSR service's one method: authenticate, issue, answer. Nothing that it logs or answers holds a token or a key. */
export function certificateServiceImplementation({
  authority,
  prove,
  clock,
  logger,
}: {
  readonly authority: () => Authority;
  readonly prove: (credentials: Credentials) => Promise<Proven>;
  readonly clock: Clock;
  readonly logger: Logger;
}): { readonly CreateCertificate: handleUnaryCall<IstioCertificateRequest, IstioCertificateResponse> } {
  const issue = async (call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>) => {
    const { identity, facts } = await prove(credentialsOf(call));
    const { csr, validityDuration } = call.request;
    const certChain = issueCertificate(authority(), {
      csr,
      identity,
      ...(facts ? { facts } : {}),
      lifetime: Number(validityDuration) * 1000,
      now: clock.now(),
    });
    logger.debug({ identity: formatSpiffeId(identity), workload: facts?.workload }, "certificate issued");
    return create(IstioCertificateResponseSchema, { certChain });
  };
  return {
    CreateCertificate: (call, respond) => {
      issue(call).then(
        (answer) => respond(null, answer),
        (error: unknown) => {
          const { code, details } = refusalOf(error);
          logger.warn({ code, peer: call.getPeer(), reason: details }, "certificate refused");
          respond({ code, details });
        },
      );
    },
  };
}

function credentialsOf(
  call: ServerUnaryCall<IstioCertificateRequest, IstioCertificateResponse>,
): Credentials {
  const authorization = call.metadata.get("authorization")[0];
  const peer = call.getAuthContext().sslPeerCertificate;
  return {
    ...(typeof authorization === "string" ? { authorization } : {}),
    ...(peer?.subjectaltname ? { subjectAltName: peer.subjectaltname, subject: { ...peer.subject } } : {}),
  };
}

function refusalOf(error: unknown): { readonly code: status; readonly details: string } {
  if (error instanceof IssueError) return { code: statusByCode[error.code], details: error.message };
  if (error instanceof ApiError) {
    return { code: status.UNAVAILABLE, details: `the API server did not review the token: ${error.message}` };
  }
  return { code: status.INTERNAL, details: "the certificate could not be issued" };
}
