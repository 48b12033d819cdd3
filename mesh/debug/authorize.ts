import type { Client } from "../../kube/contract.ts";
import { ApiError } from "../../kube/error.ts";
import { IssueError } from "../ca/issue-error.ts";
import { type ReviewedUser, reviewToken } from "../ca/token-review.ts";

/** Audience of the tokens that open the debug pages: one that is read on its way opens nothing else. */
export const debugAudience = "fairlead-debug";

/** Why a page is not shown. */
export interface Refused {
  readonly status: 401 | 403 | 503;
  readonly message: string;
}

/**
 * Asks the API server who a caller is (TokenReview) and whether they may `get` the path (SubjectAccessReview of a
 * non-resource URL, as for Kubernetes' own debug pages).
 *
 * @param authorization header of the request
 * @returns why not; undefined: they may
 */
export async function authorizeDebug(
  client: Client,
  authorization: string | undefined,
  path: string,
): Promise<Refused | undefined> {
  const token = /^bearer +(\S+)$/i.exec(authorization ?? "")?.[1];
  if (token === undefined)
    return {
      status: 401,
      message: `send a bearer token of a service account for audience \`${debugAudience}\``,
    };
  try {
    const user = await reviewToken(client, token, debugAudience);
    if (await mayGet(client, user, path)) return undefined;
    return {
      status: 403,
      message: `\`${user.username}\` may not get ${path}: a ClusterRole with nonResourceURLs ["/debug/*"] and verb get lets it`,
    };
  } catch (error) {
    if (error instanceof IssueError) return { status: 401, message: error.message };
    if (error instanceof ApiError)
      return { status: 503, message: `the API server cannot be asked who you are: ${error.message}` };
    throw error;
  }
}

/** @see authorization.k8s.io/v1 SubjectAccessReview, spec.nonResourceAttributes */
async function mayGet(client: Client, { username, groups, extra }: ReviewedUser, path: string) {
  const review = await client.request<{ readonly status?: { readonly allowed?: boolean } }>(
    "POST",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: { user: username, groups, extra, nonResourceAttributes: { path, verb: "get" } },
    },
  );
  return review.status?.allowed === true;
}
