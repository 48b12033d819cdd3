/** Resources that are only asked: TokenReview, SelfSubjectReview and the access reviews. */
import type { Authenticator } from "../authentication/authenticate.ts";
import { issuer } from "../authentication/tokens.ts";
import type { User } from "../authentication/user.ts";
import { type Attributes, authorize, rulesOf } from "../authorization/authorize.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { invalidValue } from "../field-errors.ts";
import { isObject, type JsonObject, listAt, objectAt, textAt } from "../json.ts";
import { trackedKind, writerOf } from "../managed-fields/kind.ts";
import { trackUpdate } from "../managed-fields/track.ts";
import { type ApiObject, timestamp } from "../object.ts";
import { badRequest, invalid, methodNotAllowed } from "../status.ts";
import { decode, judgeUnknownFields } from "../verbs/decode.ts";

/** Answers a review: the body, read as every object is, with its status. */
export async function review(
  context: ApiContext,
  target: Target,
  body: unknown,
  options: WriteOptions,
  authenticator: Authenticator,
): Promise<JsonObject> {
  const unknown: string[] = [];
  const object = decode(body, target, (path) => unknown.push(path));
  judgeUnknownFields(unknown, options, target);
  if (target.resource.kind === "SelfSubjectRulesReview")
    return rulesReview(context.store, object, options.user);
  trackUpdate(undefined, object, writerOf(target, options, context.now()), trackedKind(target));
  const { kind, apiVersion, metadata, spec } = object;
  const { uid: _u, resourceVersion: _r, creationTimestamp: _c, name, ...rest } = metadata;
  return {
    kind,
    apiVersion,
    metadata: {
      ...rest,
      ...(name === "" ? {} : { name }),
      // Only what has a name could have come about.
      ...(target.resource.kind === "SelfSubjectReview"
        ? { creationTimestamp: timestamp(context.now()) }
        : {}),
    },
    ...(spec === undefined ? {} : { spec }),
    status: await statusOf(context, target, objectAt({ spec }, "spec"), options.user, authenticator),
  };
}

async function statusOf(
  { store }: ApiContext,
  { resource, namespace }: Target,
  spec: JsonObject,
  asker: User,
  authenticator: Authenticator,
): Promise<JsonObject> {
  switch (resource.kind) {
    case "TokenReview":
      return tokenStatus(spec, authenticator);
    case "SelfSubjectReview":
      return { userInfo: asker };
    case "SelfSubjectAccessReview":
      checkAttributes(resource.group, spec);
      return verdict(store, asker, spec);
    case "LocalSubjectAccessReview":
      if ((textAt(spec, "resourceAttributes", "namespace") ?? "") !== (namespace ?? "")) {
        const asked = textAt(spec, "resourceAttributes", "namespace") ?? "";
        throw invalid({ group: resource.group, kind: "" }, "", [
          invalidValue("spec.resourceAttributes.namespace", asked, "must match metadata.namespace"),
        ]);
      }
      return verdict(store, subjectOf(resource.group, spec), spec);
    case "SubjectAccessReview":
      return verdict(store, subjectOf(resource.group, spec), spec);
    default:
      throw methodNotAllowed();
  }
}

function verdict(store: ApiContext["store"], user: User, spec: JsonObject): JsonObject {
  const { allowed, reason } = authorize(store, user, readAttributes(spec));
  return { allowed, ...(reason === "" ? {} : { reason }) };
}

/** What the asker may do in a namespace. The answer carries nothing of the question. */
function rulesReview(
  store: ApiContext["store"],
  { kind, apiVersion, spec }: ApiObject,
  asker: User,
): JsonObject {
  const namespace = textAt(spec, "namespace") ?? "";
  if (namespace === "") throw badRequest("no namespace on request");
  return { kind, apiVersion, metadata: {}, spec: {}, status: rulesStatus(store, asker, namespace) };
}

function rulesStatus(store: ApiContext["store"], user: User, namespace: string): JsonObject {
  const missing: string[] = [];
  const everything = { verbs: ["*"], apiGroups: ["*"], resources: ["*"] };
  const master = user.groups.includes("system:masters");
  const rules = [...rulesOf(store, user, namespace, missing)].flatMap((grant) => grant.rules);
  const resourceRules = rules.filter((rule) => listAt(rule, "nonResourceURLs").length === 0);
  const pathRules = rules.filter((rule) => listAt(rule, "nonResourceURLs").length > 0);
  return {
    resourceRules: master && resourceRules.length === 0 ? [everything] : resourceRules,
    nonResourceRules: pathRules.map((rule) => ({
      verbs: listAt(rule, "verbs"),
      nonResourceURLs: listAt(rule, "nonResourceURLs"),
    })),
    incomplete: false,
  };
}

async function tokenStatus(spec: JsonObject, authenticator: Authenticator): Promise<JsonObject> {
  const asked = listAt(spec, "audiences").map(String);
  const token = textAt(spec, "token") ?? "";
  if (token === "") throw badRequest("token is required for TokenReview in authentication");
  const found = await authenticator.review(token, asked.length === 0 ? [issuer] : asked);
  if (found === undefined) return { user: {}, error: "[invalid bearer token, token lookup failed]" };
  return { authenticated: true, user: found.user, audiences: found.audiences };
}

function checkAttributes(group: string, spec: JsonObject): void {
  const both = isObject(spec.resourceAttributes) && isObject(spec.nonResourceAttributes);
  const none = !isObject(spec.resourceAttributes) && !isObject(spec.nonResourceAttributes);
  if (!both && !none) return;
  const message = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  const { path: Path = "", verb: Verb = "" } = objectAt(spec, "nonResourceAttributes");
  // Kubernetes names no kind here, and shows a struct without JSON names.
  throw invalid({ group, kind: "" }, "", [
    both
      ? invalidValue(
          "spec.nonResourceAttributes",
          { Path, Verb },
          "cannot be specified in combination with resourceAttributes",
        )
      : invalidValue("spec.resourceAttributes", null, message),
  ]);
}

function subjectOf(group: string, spec: JsonObject): User {
  checkAttributes(group, spec);
  const username = textAt(spec, "user") ?? "";
  const groups = listAt(spec, "groups").map(String);
  if (username === "" && groups.length === 0)
    throw invalid({ group, kind: "" }, "", [
      invalidValue("spec.user", "", "at least one of user or group must be specified"),
    ]);
  return { username, groups };
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
