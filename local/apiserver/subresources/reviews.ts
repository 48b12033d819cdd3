/** Resources that are only asked: TokenReview, SelfSubjectReview and the access reviews. */
import type { Authenticator } from "../authentication/authenticate.ts";
import { issuer } from "../authentication/tokens.ts";
import type { User } from "../authentication/user.ts";
import { type Attributes, authorize } from "../authorization/authorize.ts";
import { isObject, type JsonObject, listAt, objectAt, textAt } from "../json.ts";
import { badRequest, methodNotAllowed } from "../status.ts";

/** Answers a review of this kind: the body with its status. */
export async function review(
  kind: string,
  body: unknown,
  asker: User,
  authenticator: Authenticator,
): Promise<JsonObject> {
  if (!isObject(body)) throw badRequest(`a ${kind} must be an object`);
  return {
    metadata: { creationTimestamp: null },
    ...body,
    status: await statusOf(kind, objectAt(body, "spec"), asker, authenticator),
  };
}

async function statusOf(
  kind: string,
  spec: JsonObject,
  asker: User,
  authenticator: Authenticator,
): Promise<JsonObject> {
  switch (kind) {
    case "TokenReview":
      return tokenStatus(spec, authenticator);
    case "SelfSubjectReview":
      return { userInfo: asker };
    case "SelfSubjectRulesReview":
      return {
        resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
        nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
        incomplete: false,
      };
    case "SelfSubjectAccessReview":
      return { ...authorize(asker, readAttributes(spec)) };
    case "SubjectAccessReview":
    case "LocalSubjectAccessReview":
      return { ...authorize(subjectOf(spec), readAttributes(spec)) };
    default:
      throw methodNotAllowed();
  }
}

async function tokenStatus(spec: JsonObject, authenticator: Authenticator): Promise<JsonObject> {
  const asked = listAt(spec, "audiences").map(String);
  const token = textAt(spec, "token") ?? "";
  if (token === "") throw badRequest("token is required for TokenReview in authentication");
  const found = await authenticator.review(token, asked.length === 0 ? [issuer] : asked);
  if (found === undefined) return { user: {}, error: "[invalid bearer token, token lookup failed]" };
  return { authenticated: true, user: found.user, audiences: found.audiences };
}

function subjectOf(spec: JsonObject): User {
  const username = textAt(spec, "user") ?? "";
  // A subject that is named is taken as authenticated, as Kubernetes' own authorizers do for real users.
  return { username, groups: [...listAt(spec, "groups").map(String), "system:authenticated"] };
}

function readAttributes(spec: JsonObject): Attributes {
  if (isObject(spec.nonResourceAttributes)) {
    return {
      kind: "path",
      verb: textAt(spec.nonResourceAttributes, "verb") ?? "",
      path: textAt(spec.nonResourceAttributes, "path") ?? "",
    };
  }
  const asked = objectAt(spec, "resourceAttributes");
  return {
    kind: "resource",
    verb: textAt(asked, "verb") ?? "",
    group: textAt(asked, "group") ?? "",
    resource: textAt(asked, "resource") ?? "",
    subresource: textAt(asked, "subresource"),
    namespace: textAt(asked, "namespace"),
    name: textAt(asked, "name"),
  };
}
