/**
 * Why a certificate was not issued. `code` is stable: it labels metrics and picks the gRPC status.
 *
 * - `malformed-csr`: the request is not a well-formed, self-signed PKCS#10 of an accepted key
 * - `unauthenticated`: no token and no client certificate, or one that does not hold
 * - `identity-mismatch`: the pod that the token names is not (any more) the one that it proves
 * - `root-expired`: the authority's own certificate has run out
 */
export class IssueError extends Error {
  override readonly name = "IssueError";
  readonly code: "malformed-csr" | "unauthenticated" | "identity-mismatch" | "root-expired";

  constructor(code: IssueError["code"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
