import type { Authority } from "./authority.ts";
import { type NameAttribute, signCertificate } from "./certificate.ts";
import { readCertificateRequest } from "./csr.ts";
import { pem } from "./der-writer.ts";
import { IssueError } from "./issue-error.ts";
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from "./spiffe.ts";

/** What the CA knows of a workload from the API server, never from the workload itself. */
export interface WorkloadFacts {
  /** Name of the Deployment, StatefulSet, DaemonSet or Job that owns the pod. */
  readonly workload: string;
  readonly app?: string;
  readonly version?: string;
}

/** What a leaf is made of. */
export interface IssueRequest {
  /** PEM. Only its key is used. */
  readonly csr: string;
  /** Proven by a token or a client certificate. */
  readonly identity: SpiffeId;
  /** Absent where the token is bound to no pod. */
  readonly facts?: WorkloadFacts;
  /** Milliseconds asked for; 0 or absent: {@link defaultLifetime}. */
  readonly lifetime?: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

const hour = 3600 * 1000;
export const defaultLifetime = 24 * hour;
const longestLifetime = 90 * 24 * hour;
/** For clocks that are behind ours. */
const backDating = 2 * 60 * 1000;

/**
 * Issues a workload's certificate: one SPIFFE URI SAN, and the workload's facts as subject.
 *
 * Subject `O=<namespace>, OU=<app>, OU=<version>, CN=<workload>`: both OUs always stand, `unknown` where there is
 * no such label, so that a reader can tell them apart. No value holds a slash or a comma, because Envoy's RBAC
 * falls through from URI SAN to subject and its text form must not be ambiguous.
 *
 * @returns PEM certificates, leaf first, root last
 * @throws IssueError
 */
export function issueCertificate(authority: Authority, request: IssueRequest): string[] {
  const { identity, facts, now } = request;
  const uri = formatSpiffeId(identity);
  if (!parseSpiffeId(uri))
    throw new IssueError("identity-mismatch", "the proven identity is not a SPIFFE ID");
  const { publicKeyInfo } = readCertificateRequest(request.csr);
  return signLeaf(authority, {
    publicKeyInfo,
    subject: subjectOf(identity.namespace, facts),
    names: { uris: [uri] },
    now,
    lifetime: request.lifetime ?? 0,
  });
}

/** What {@link signLeaf} puts into a certificate; the names are the caller's responsibility. */
export interface Leaf {
  readonly publicKeyInfo: Buffer;
  readonly subject: readonly NameAttribute[];
  readonly names: {
    readonly uris?: readonly string[];
    readonly dns?: readonly string[];
    readonly ips?: readonly string[];
  };
  readonly now: number;
  readonly lifetime: number;
}

/** Signs a leaf that never outlives its issuer. PEM certificates, leaf first, root last. */
export function signLeaf(authority: Authority, { now, lifetime, ...leaf }: Leaf): string[] {
  if (now >= authority.notAfter) {
    throw new IssueError(
      "root-expired",
      `the authority's certificate ran out at ${new Date(authority.notAfter).toISOString()}`,
    );
  }
  const asked = lifetime > 0 ? Math.min(lifetime, longestLifetime) : defaultLifetime;
  const certificate = signCertificate(
    {
      ...leaf,
      issuer: authority.name,
      notBefore: now - backDating,
      notAfter: Math.min(now + asked, authority.notAfter),
      use: "leaf",
      ...(authority.keyId ? { issuerKeyId: authority.keyId } : {}),
    },
    authority.key,
  );
  return [pem("CERTIFICATE", certificate), ...authority.intermediates, authority.rootPem];
}

function subjectOf(namespace: string, facts: WorkloadFacts | undefined): NameAttribute[] {
  const organisation: NameAttribute = { type: "O", value: plain(namespace) };
  if (!facts) return [organisation];
  return [
    organisation,
    { type: "OU", value: plain(facts.app) },
    { type: "OU", value: plain(facts.version) },
    { type: "CN", value: plain(facts.workload) },
  ];
}

function plain(value: string | undefined): string {
  return value?.replace(/[^A-Za-z0-9._-]/g, "-") || "unknown";
}
