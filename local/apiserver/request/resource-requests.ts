import type { IncomingMessage, ServerResponse } from "node:http";
import type { Authenticator } from "../authentication/authenticate.ts";
import type { User } from "../authentication/user.ts";
import type { ApiContext, Target, WriteOptions } from "../context.ts";
import { fieldOf, listAt } from "../json.ts";
import { trackedKind, writerOf } from "../managed-fields/kind.ts";
import { applyConfiguration } from "../managed-fields/track.ts";
import type { ApiObject } from "../object.ts";
import { patchType, readApply, readPatch } from "../patch/read-patch.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { badRequest, methodNotAllowed, unforeseen, unknownResource } from "../status.ts";
import { servePodLog } from "../subresources/log.ts";
import { bind, evict } from "../subresources/pods.ts";
import { review } from "../subresources/reviews.ts";
import { scaleOf, withScale } from "../subresources/scale.ts";
import { createTokenRequest } from "../subresources/token.ts";
import type { TableOptions } from "../table/table.ts";
import { createObject } from "../verbs/create.ts";
import { deleteObject, readDeleteOptions } from "../verbs/delete.ts";
import { encodeList, encodeObject } from "../verbs/encode.ts";
import { getEntry, listPage, readSelectors } from "../verbs/read.ts";
import { type Change, inVersion, updateObject } from "../verbs/update.ts";
import { serveWatch } from "../verbs/watch.ts";
import { addWarnings, sendJson } from "./answer.ts";
import { contentType, parseBody, readBody, strictFaults } from "./body.ts";
import { negotiate } from "./negotiate.ts";
import { type OptionsKind, readVersion, readWriteOptions } from "./options.ts";

/** A request about a resource, after authentication. */
export interface ResourceRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly user: User;
  readonly target: Target;
  readonly verb: string;
  /** What the answer warns of, be it a refusal or not; filled while the request is served. */
  readonly warnings: string[];
}

/** Serves one request about a resource. Throws the refusal's StatusError; its warnings are on the response then. */
export async function serveResource(
  context: ApiContext,
  authenticator: Authenticator,
  asked: ResourceRequest,
): Promise<void> {
  const { deprecation } = asked.target.version;
  if (deprecation !== undefined) asked.warnings.push(deprecation);
  try {
    await serve(context, authenticator, asked);
  } catch (error) {
    if (!asked.response.headersSent) addWarnings(asked.response, asked.warnings);
    throw error;
  }
}

async function serve(
  context: ApiContext,
  authenticator: Authenticator,
  asked: ResourceRequest,
): Promise<void> {
  const { request, target, verb } = asked;
  if (!target.resource.stored) {
    if (verb !== "create" || target.name !== undefined) throw methodNotAllowed();
    const { body, strictFaults } = await readStrictly(request);
    const options = { ...writeOptions(asked), strictFaults };
    const answer = await review(context, target, body, options, authenticator);
    return sendJson(asked.response, 201, JSON.stringify(answer), asked.warnings);
  }
  checkSubresource(target);
  switch (verb) {
    case "get":
      return get(context, asked);
    case "list": {
      const { form, table } = forms(context, asked);
      const page = listPage(context, target, asked.query);
      const text = encodeList(page, target, form, table);
      return sendJson(asked.response, 200, text, asked.warnings, form.mediaType);
    }
    case "watch": {
      const { form, table } = forms(context, asked);
      addWarnings(asked.response, asked.warnings);
      return serveWatch(context, withNameSelected(asked), asked.query, form, asked.response, table);
    }
    case "create":
      return create(context, asked);
    case "update":
      return update(context, asked);
    case "patch":
      return patch(context, asked);
    case "delete":
      return remove(context, asked);
    case "deletecollection":
      return removeCollection(context, asked);
    default:
      throw methodNotAllowed();
  }
}

function checkSubresource({ subresource, version, resource }: Target): void {
  if (subresource === undefined) return;
  const known =
    (subresource === "status" && version.status) ||
    (subresource === "scale" && version.scale !== undefined) ||
    resource.subresources.some(({ name }) => name === subresource);
  if (!known) throw unknownResource();
}

function forms(context: ApiContext, { request, query }: ResourceRequest) {
  const includeObject = query.get("includeObject") ?? "Metadata";
  if (includeObject !== "None" && includeObject !== "Metadata" && includeObject !== "Object") {
    throw badRequest(
      `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(includeObject)}: must be 'Metadata', 'Object', 'None', or empty`,
    );
  }
  const table: TableOptions = { now: context.now(), includeObject };
  return { form: negotiate(request.headers.accept), table };
}

/** A watch of one object by its path is a watch of its resource with that name selected. */
function withNameSelected({ target, query }: ResourceRequest): Target {
  if (target.name === undefined) return target;
  const given = query.get("fieldSelector");
  query.set("fieldSelector", `${given === null ? "" : `${given},`}metadata.name=${target.name}`);
  return { ...target, name: undefined };
}

/** The body, with what a strict reader says of it. */
async function readStrictly(
  request: IncomingMessage,
): Promise<{ readonly body: unknown; readonly strictFaults: readonly string[] }> {
  const bytes = await readBody(request);
  if (bytes.length === 0) throw badRequest("the request has no body");
  const type = contentType(request);
  const body = parseBody(bytes, type);
  return { body, strictFaults: strictFaults(bytes, type, body) };
}

const optionsKinds: Readonly<Record<string, OptionsKind>> = {
  create: "CreateOptions",
  update: "UpdateOptions",
  delete: "DeleteOptions",
  deletecollection: "DeleteOptions",
};

function writeOptions(
  { query, user, request, verb, warnings }: ResourceRequest,
  apply?: boolean,
): WriteOptions {
  const kind = optionsKinds[verb] ?? "PatchOptions";
  const { fieldManager, ...read } = readWriteOptions(
    query,
    kind,
    verb === "patch" ? apply === true : undefined,
  );
  const agent = (request.headers["user-agent"] ?? "unknown").split("/")[0] ?? "unknown";
  return { user, ...read, fieldManager: fieldManager ?? agent, warnings };
}

function sendObject(context: ApiContext, asked: ResourceRequest, code: number, object: ApiObject): void {
  const { form, table } = forms(context, asked);
  const shown = inVersion(object, asked.target);
  const encoded = { apiVersion: shown.apiVersion, object: shown, json: JSON.stringify(shown) };
  const text = encodeObject(encoded, asked.target, form, table);
  sendJson(asked.response, code, text, asked.warnings, form.mediaType);
}

async function get(context: ApiContext, asked: ResourceRequest): Promise<void> {
  const { target, query, response } = asked;
  if (target.subresource === "log") return servePodLog(context, target, query, response);
  const { form, table } = forms(context, asked);
  readVersion(query.get("resourceVersion") ?? "", unforeseen);
  const entry = getEntry(context, target);
  if (target.subresource === "scale")
    return sendJson(response, 200, JSON.stringify(scaleOf(entry.object, target)), asked.warnings);
  if (target.subresource !== undefined && target.subresource !== "status") throw methodNotAllowed();
  sendJson(response, 200, encodeObject(entry, target, form, table), asked.warnings, form.mediaType);
}

async function create(context: ApiContext, asked: ResourceRequest): Promise<void> {
  const { target, request, response } = asked;
  const { body, strictFaults } = await readStrictly(request);
  const options = { ...writeOptions(asked), strictFaults };
  if (target.subresource === undefined) {
    if (target.name !== undefined) throw methodNotAllowed();
    return sendObject(context, asked, 201, await createObject(context, target, body, options));
  }
  switch (target.subresource) {
    case "token":
      return sendJson(
        response,
        201,
        JSON.stringify(await createTokenRequest(context, target, body, options)),
      );
    case "binding":
      return sendJson(response, 201, JSON.stringify(await bind(context, target, body)));
    case "eviction":
      return sendJson(response, 201, JSON.stringify(await evict(context, target, body, options)));
    default:
      throw methodNotAllowed();
  }
}

async function update(context: ApiContext, asked: ResourceRequest): Promise<void> {
  const { target } = asked;
  if (target.name === undefined) throw methodNotAllowed();
  const { body, strictFaults } = await readStrictly(asked.request);
  const { resource, namespace, name, subresource } = target;
  if (resource.strategy.createsOnUpdate === true && subresource === undefined) {
    if (context.store.get(storeName(resource), namespace, name) === undefined) {
      const options = { ...writeOptions(asked), strictFaults };
      const created = await createObject(context, { ...target, name: undefined }, body, options);
      return sendObject(context, asked, 201, created);
    }
  }
  await write(context, asked, () => body, { strictFaults });
}

/** Runs a change through the subresource that it is for, and answers. */
async function write(
  context: ApiContext,
  asked: ResourceRequest,
  change: Change,
  how: Pick<WriteOptions, "patched" | "strictFaults"> = {},
): Promise<void> {
  const { target } = asked;
  const options = { ...writeOptions(asked), ...how };
  if (target.subresource === "scale") {
    const main: Target = { ...target, subresource: undefined };
    const scaled: Change = (current) => withScale(current, change(scaleAsObject(current, target)), target);
    const object = await updateObject(context, main, scaled, { ...options, trackedAs: "scale" });
    return sendJson(asked.response, 200, JSON.stringify(scaleOf(object, target)), asked.warnings);
  }
  if (
    target.subresource !== undefined &&
    target.subresource !== "status" &&
    target.subresource !== "finalize"
  )
    throw methodNotAllowed();
  sendObject(context, asked, 200, await updateObject(context, target, change, options));
}

function scaleAsObject(current: ApiObject, target: Target): ApiObject {
  return {
    ...scaleOf(current, target),
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: { ...current.metadata },
  };
}

async function patch(context: ApiContext, asked: ResourceRequest): Promise<void> {
  const { target, request } = asked;
  if (target.name === undefined) throw methodNotAllowed();
  const type = patchType(contentType(request), target);
  const body = await readBody(request);
  if (type !== "apply") {
    const { change, shown, strictFaults } = readPatch(type, body, target);
    return write(context, asked, change, { patched: shown === undefined ? {} : { shown }, strictFaults });
  }
  await apply(context, asked, readApply(body));
}

async function apply(
  context: ApiContext,
  asked: ResourceRequest,
  configuration: Record<string, unknown>,
): Promise<void> {
  const { target, query } = asked;
  const options = writeOptions(asked, true);
  checkApplied(configuration, target);
  const force = query.get("force") === "true";
  const writer = writerOf(target, options, context.now());
  const kind = trackedKind(target);
  const applied: WriteOptions = { ...options, applied: true };
  const { resource, namespace, name = "" } = target;
  const stored = context.store.get(storeName(resource), namespace, name);
  if (stored === undefined && target.subresource === undefined) {
    const object = applyConfiguration(undefined, named(configuration, target), writer, kind, force);
    const created = await createObject(context, target, object, applied);
    return sendObject(context, asked, 201, created);
  }
  const change: Change = (current) => applyConfiguration(current, configuration, writer, kind, force);
  sendObject(context, asked, 200, await updateObject(context, target, change, applied));
}

/** What an applied configuration must be, besides of its type. */
function checkApplied(configuration: Record<string, unknown>, { resource, version }: Target): void {
  if (listAt(configuration, "metadata", "managedFields").length > 0)
    throw badRequest("metadata.managedFields must be nil");
  const { apiVersion = "", kind = "" } = configuration;
  if (apiVersion === groupVersion(resource.group, version.name) && kind === resource.kind) return;
  const shown = String(apiVersion).includes("/") ? String(apiVersion) : `/${String(apiVersion)}`;
  throw badRequest(`invalid object type: ${shown}, Kind=${String(kind)}`);
}

function named(configuration: Record<string, unknown>, { name }: Target): Record<string, unknown> {
  const metadata = fieldOf(configuration, "metadata");
  return { ...configuration, metadata: { ...(typeof metadata === "object" ? metadata : {}), name } };
}

async function readDelete({ request, query }: ResourceRequest) {
  const body = await readBody(request);
  return readDeleteOptions(body.length === 0 ? {} : parseBody(body, contentType(request)), query);
}

async function remove(context: ApiContext, asked: ResourceRequest): Promise<void> {
  const { target, response } = asked;
  if (target.subresource !== undefined) throw methodNotAllowed();
  const { dryRun, ...wanted } = await readDelete(asked);
  const options = { ...writeOptions(asked), dryRun };
  const { object, gone } = await deleteObject(context, target, wanted, options);
  if (!gone || target.resource.strategy.answersDeleted === true)
    return sendObject(context, asked, 200, object);
  const { group, plural } = target.resource;
  const details = {
    name: object.metadata.name,
    ...(group === "" ? {} : { group }),
    kind: plural,
    uid: object.metadata.uid,
  };
  sendJson(
    response,
    200,
    JSON.stringify({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", details }),
    asked.warnings,
  );
}

async function removeCollection(context: ApiContext, asked: ResourceRequest): Promise<void> {
  const { target, query } = asked;
  if (target.resource.strategy.deletesOneByOne === true) throw methodNotAllowed();
  const { dryRun, ...wanted } = await readDelete(asked);
  const options = { ...writeOptions(asked), dryRun };
  const match = readSelectors(query, target);
  const page = listPage(context, target, query);
  for (const { object } of page.entries) {
    if (!match(object)) continue;
    const each: Target = { ...target, namespace: object.metadata.namespace, name: object.metadata.name };
    await deleteObject(context, each, wanted, options);
  }
  const { form, table } = forms(context, asked);
  sendJson(asked.response, 200, encodeList(page, target, form, table), asked.warnings, form.mediaType);
}
