import type { IncomingMessage, ServerResponse } from "node:http";
import type { Authenticator } from "../authentication/authenticate.ts";
import { readImpersonation } from "../authentication/impersonate.ts";
import type { User } from "../authentication/user.ts";
import { anonymous } from "../authentication/user.ts";
import { type Attributes, authorize, refusalText } from "../authorization/authorize.ts";
import type { ApiContext, Target } from "../context.ts";
import { servedVersion } from "../resources/resource.ts";
import { badRequest, forbidden, StatusError, unauthorized, unknownResource } from "../status.ts";
import { sendError, sendText } from "./answer.ts";
import { serveOther } from "./other-paths.ts";
import { parseResourcePath, type ResourcePath } from "./path.ts";
import { serveResource } from "./resource-requests.ts";

/** Makes the handler of all requests: who, what, may they, then the verb. It answers every error and never throws. */
export function requestHandler(context: ApiContext, authenticator: Authenticator) {
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = readUrl(request);
    const path = resourcePathOf(url.pathname);
    const asked = attributesOf(request, url, path);
    const user = await identify(request, asked);
    permit(user, asked);
    if (path === undefined) {
      return serveOther(context, request, response, url, user);
    }
    const { verb } = asked;
    const target = targetOf(context, path);
    if (target === undefined) {
      if (isKnown(context, path)) throw unknownResource();
      return sendText(response, 404, "404 page not found\n");
    }
    await serveResource(context, authenticator, {
      request,
      response,
      query: url.searchParams,
      user,
      target,
      verb,
      warnings: [],
    });
  }

  /** Who asks, or whom they ask as. Throws 401 for credentials that are worth nothing. */
  async function identify(request: IncomingMessage, asked: Attributes): Promise<User> {
    const asker = await authenticator.authenticate(request);
    if (asker === "invalid") throw unauthorized();
    const user = asker ?? anonymous;
    const impersonated = readImpersonation(request);
    if (impersonated === undefined) return user;
    const { needed, mode } = impersonated;
    if (needed.some((each) => !authorize(context.store, user, each).allowed)) {
      // Who may not act as them in general may be allowed to for this request.
      permit(user, { ...asked, verb: `impersonate-on:${mode}:${asked.verb}` });
      for (const each of needed) permit(user, { ...each, ...narrower(each, mode) });
    }
    return impersonated.user;
  }

  function permit(user: User, asked: Attributes): void {
    const verdict = authorize(context.store, user, asked);
    if (verdict.allowed) return;
    const text = refusalText(user, asked, verdict);
    if (asked.kind === "path") throw new StatusError(403, "Forbidden", `forbidden: ${text}`, {});
    throw forbidden({ group: asked.group, plural: asked.resource }, asked.name ?? "", text);
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    handle(request, response).catch((error: unknown) => {
      sendError(response, error, context.logger);
      // What is left of a refused body is not read on.
      if (error instanceof StatusError && error.code === 413) request.destroy();
    });
  };
}

/** What must be allowed in one of the narrower modes of impersonation. */
function narrower(needed: Attributes, mode: string): { verb: string; group?: string } {
  const verb = `impersonate:${mode}`;
  return needed.kind === "resource" ? { verb, group: "authentication.k8s.io" } : { verb };
}

function attributesOf(request: IncomingMessage, url: URL, path: ResourcePath | undefined): Attributes {
  if (path === undefined)
    return { kind: "path", verb: (request.method ?? "GET").toLowerCase(), path: url.pathname };
  const { group, plural, subresource, namespace, name } = path;
  const verb = verbOf(request, path, url.searchParams);
  return { kind: "resource", verb, group, resource: plural, subresource, namespace, name };
}

function readUrl({ url = "/" }: IncomingMessage): URL {
  try {
    return new URL(url, "https://kubernetes");
  } catch {
    throw badRequest("the request's path cannot be read");
  }
}

function resourcePathOf(path: string): ResourcePath | undefined {
  try {
    return parseResourcePath(path);
  } catch {
    throw badRequest("the request's path has a broken percent code");
  }
}

function targetOf(
  context: ApiContext,
  { group, version, plural, namespace, name, subresource }: ResourcePath,
): Target | undefined {
  const resource = context.registry.find(group, plural);
  const served = resource === undefined ? undefined : servedVersion(resource, version);
  if (resource === undefined || served === undefined) return undefined;
  if (!resource.namespaced && namespace !== undefined) return undefined;
  if (resource.namespaced && namespace === undefined && name !== undefined) return undefined;
  return { resource, version: served, namespace, name, subresource };
}

/** Whether a Status says that a resource is missing, and not a bare 404: of a group of CRDs only in versions that it has. */
function isKnown({ registry }: ApiContext, { group, version }: ResourcePath): boolean {
  return registry.isBuiltinGroup(group) || registry.inGroupVersion(group, version).length > 0;
}

function verbOf(
  { method = "GET" }: IncomingMessage,
  { name, watch }: ResourcePath,
  query: URLSearchParams,
): string {
  switch (method) {
    case "GET":
      if (watch || query.get("watch") === "true" || query.get("watch") === "1") return "watch";
      return name === undefined ? "list" : "get";
    case "POST":
      return "create";
    case "PUT":
      return "update";
    case "PATCH":
      return "patch";
    case "DELETE":
      return name === undefined ? "deletecollection" : "delete";
    default:
      return method.toLowerCase();
  }
}
