/** Resources that are only asked: TokenReview, SelfSubjectReview and the access reviews. */
import type { Authenticator } from "../authentication/authenticate.ts";
import { issuer } from "../authentication/tokens.ts";
import type { User } from "../authentication/user.ts";
import { type Attributes, authorize, rulesOf } from "../authorization/authorize.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { required } from "../field-errors.ts";
import { isObject, type JsonObject, listAt, objectAt, textAt } from "../json.ts";
import { trackedKind, writerOf } from "../managed-fields/kind.ts";
import { trackUpdate } from "../managed-fields/track.ts";
import { timestamp } from "../object.ts";
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
  judgeUnknownFields(unknown, options.fieldValidation, options.warnings, target);
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
    case "SelfSubjectRulesReview":
      return rulesStatus(store, asker, textAt(spec, "namespace") ?? "");
    case "SelfSubjectAccessReview":
      checkAttributes(resource, spec);
      return verdict(store, asker, spec);
    case "LocalSubjectAccessReview":
      if ((textAt(spec, "resourceAttributes", "namespace") ?? "") !== (namespace ?? "")) {
        throw badRequest("spec.resourceAttributes.namespace must match namespace");
      }
      return verdict(store, subjectOf(resource, spec), spec);
    case "SubjectAccessReview":
      return verdict(store, subjectOf(resource, spec), spec);
    default:
      throw methodNotAllowed();
  }
}

function verdict(store: ApiContext["store"], user: User, spec: JsonObject): JsonObject {
  const { allowed, reason } = authorize(store, user, readAttributes(spec));
  return { allowed, ...(reason === "" ? {} : { reason }) };
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

type Named = Pick<Target["resource"], "group" | "kind">;

function checkAttributes(named: Named, spec: JsonObject): void {
  const both = isObject(spec.resourceAttributes) && isObject(spec.nonResourceAttributes);
  const none = !isObject(spec.resourceAttributes) && !isObject(spec.nonResourceAttributes);
  if (!both && !none) return;
  const message = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
  throw invalid(named, "", [
    both
      ? {
          type: "FieldValueInvalid",
          field: "spec.nonResourceAttributes",
          message: `Invalid value: "": cannot be specified in combination with resourceAttributes`,
        }
      : {
          type: "FieldValueInvalid",
          field: "spec.resourceAttributes",
          message: `Invalid value: null: ${message}`,
        },
  ]);
}

function subjectOf(named: Named, spec: JsonObject): User {
  checkAttributes(named, spec);
  const username = textAt(spec, "user") ?? "";
  const groups = listAt(spec, "groups").map(String);
  if (username === "" && groups.length === 0)
    throw invalid(named, "", [required("spec.user", "at least one of user or group must be specified")]);
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
