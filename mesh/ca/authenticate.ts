import { type Pod, PodKind } from "../../api/core.ts";
import type { Client } from "../../kube/contract.ts";
import type { WorkloadFacts } from "./issue.ts";
import { IssueError } from "./issue-error.ts";
import { readPeerIdentity, type SpiffeId } from "./spiffe.ts";
import { reviewToken } from "./token-review.ts";
import { workloadFacts } from "./workload-facts.ts";

/** How a caller proves itself: what came with the call. */
export interface Credentials {
  /** `authorization` header. */
  readonly authorization?: string;
  /** SANs of the client certificate, if TLS verified one. */
  readonly subjectAltName?: string;
  /** Subject of that certificate: facts that this CA wrote, kept when the certificate is renewed. */
  readonly subject?: { readonly [attribute: string]: string | readonly string[] | undefined };
}

export interface Proven {
  readonly identity: SpiffeId;
  readonly facts?: WorkloadFacts;
}

const accountName = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/;

/**
 * Finds out who is calling: a bearer token, reviewed by the API server for `audience`, or else the client certificate.
 *
 * @throws IssueError `unauthenticated` or `identity-mismatch`; ApiError where the API server does not answer
 */
export async function authenticate(
  credentials: Credentials,
  {
    client,
    trustDomain,
    audience,
  }: { readonly client: Client; readonly trustDomain: string; readonly audience: string },
): Promise<Proven> {
  const token = /^bearer +(\S+)$/i.exec(credentials.authorization ?? "")?.[1];
  if (token === undefined) return byCertificate(credentials, trustDomain);
  const user = await reviewToken(client, token, audience);
  const [, namespace, serviceAccount] = accountName.exec(user.username) ?? [];
  if (namespace === undefined || serviceAccount === undefined) {
    throw new IssueError("unauthenticated", "the token is not a service account's");
  }
  const identity = { trustDomain, namespace, serviceAccount };
  const podName = user.extra["authentication.kubernetes.io/pod-name"]?.[0];
  if (podName === undefined) return { identity };
  const pod = await client.get(PodKind, namespace, podName);
  checkPod(pod, identity, podName, user.extra["authentication.kubernetes.io/pod-uid"]?.[0]);
  return { identity, facts: workloadFacts(pod) };
}

function checkPod(
  pod: Pod | undefined,
  identity: SpiffeId,
  name: string,
  uid: string | undefined,
): asserts pod is Pod {
  const { namespace, serviceAccount } = identity;
  if (!pod || (uid !== undefined && pod.metadata.uid !== uid)) {
    throw new IssueError(
      "identity-mismatch",
      `pod \`${namespace}/${name}\`, which the token is bound to, is gone`,
    );
  }
  const account = pod.spec?.serviceAccountName || "default";
  if (account !== serviceAccount) {
    throw new IssueError(
      "identity-mismatch",
      `token proves \`${serviceAccount}\`, pod \`${namespace}/${name}\` runs as \`${account}\``,
    );
  }
}

function byCertificate({ subjectAltName, subject }: Credentials, trustDomain: string): Proven {
  const identity = readPeerIdentity(subjectAltName);
  if (!identity)
    throw new IssueError(
      "unauthenticated",
      "the call carries neither a bearer token nor a workload's certificate",
    );
  if (identity.trustDomain !== trustDomain) {
    throw new IssueError("unauthenticated", `the certificate is of trust domain \`${identity.trustDomain}\``);
  }
  const { CN: workload, OU: units } = subject ?? {};
  if (typeof workload !== "string") return { identity };
  const [app, version] = Array.isArray(units) ? (units as readonly string[]) : [];
  return { identity, facts: { workload, ...(app ? { app } : {}), ...(version ? { version } : {}) } };
}
