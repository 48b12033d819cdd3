import type { Client } from "../../kube/contract.ts";
import { IssueError } from "./issue-error.ts";

/** authentication.k8s.io/v1 TokenReview, as far as it is read. */
interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean;
    readonly audiences?: readonly string[];
    readonly user?: Partial<ReviewedUser>;
  };
}

/** Whose token it is, as the API server says. */
export interface ReviewedUser {
  readonly username: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/**
 * Asks the API server whose token this is; it must be made for `audience`, so that no other one has to be shown.
 *
 * @throws IssueError `unauthenticated`; ApiError where the API server does not answer
 */
export async function reviewToken(client: Client, token: string, audience: string): Promise<ReviewedUser> {
  const review = await client.request<TokenReview>("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token, audiences: [audience] },
  });
  const { authenticated, audiences, user } = review.status ?? {};
  if (!authenticated || !audiences?.includes(audience)) {
    throw new IssueError(
      "unauthenticated",
      `the API server does not accept the token for audience \`${audience}\``,
    );
  }
  return { username: user?.username ?? "", groups: user?.groups ?? [], extra: user?.extra ?? {} };
}
