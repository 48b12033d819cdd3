import type { ApiContext, Target } from "../context.ts";
import { objectAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { parseFieldSelector } from "../selectors/fields.ts";
import { parseLabelSelector } from "../selectors/labels.ts";
import { badRequest, expired, notFound } from "../status.ts";
import type { Entry } from "../storage/store.ts";

/** The stored object of a target. Throws 404. */
export function getEntry(context: ApiContext, { resource, namespace, name = "" }: Target): Entry {
  const entry = context.store.get(storeName(resource), namespace, name);
  if (entry === undefined) throw notFound(resource, name);
  return entry;
}

export type Match = (object: ApiObject) => boolean;

/** The selectors of a query as one test. Throws 400 where they cannot be read. */
export function readSelectors(query: URLSearchParams, { resource, namespace }: Target): Match {
  const labelText = query.get("labelSelector") ?? "";
  const fieldText = query.get("fieldSelector") ?? "";
  const labels = labelText === "" ? undefined : parseLabelSelector(labelText);
  const fields = fieldText === "" ? undefined : parseFieldSelector(fieldText, resource);
  return (object) =>
    (namespace === undefined || object.metadata.namespace === namespace) &&
    (labels?.(objectAt(object, "metadata", "labels")) ?? true) &&
    (fields?.(object) ?? true);
}

export interface Page {
  readonly entries: readonly Entry[];
  readonly resourceVersion: string;
  readonly continue?: string;
  readonly remaining?: number;
}

/** One page of a list, by `limit` and `continue`. All pages carry the first page's resourceVersion. */
export function listPage(context: ApiContext, target: Target, query: URLSearchParams): Page {
  const match = readSelectors(query, target);
  const limit = Number(query.get("limit") ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest("limit must be a whole number, 0 or more");
  const token = query.get("continue") ?? "";
  const from = token === "" ? undefined : readContinue(token);
  checkVersion(context, query);
  let entries = context.store
    .list(storeName(target.resource), target.namespace)
    .filter(({ object }) => match(object));
  if (from !== undefined) entries = entries.filter(({ object }) => keyOf(object) > from.after);
  const resourceVersion = from?.resourceVersion ?? String(context.store.revision);
  if (limit === 0 || entries.length <= limit) return { entries, resourceVersion };
  const page = entries.slice(0, limit);
  const last = page.at(-1);
  const next = JSON.stringify({
    v: "meta.k8s.io/v1",
    rv: resourceVersion,
    after: last === undefined ? "" : keyOf(last.object),
  });
  return {
    entries: page,
    resourceVersion,
    continue: Buffer.from(next).toString("base64url"),
    remaining: entries.length - limit,
  };
}

function keyOf({ metadata }: ApiObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}

function readContinue(token: string): { after: string; resourceVersion: string } {
  try {
    const { rv, after } = objectAt(JSON.parse(Buffer.from(token, "base64url").toString("utf8")));
    if (typeof rv === "string" && typeof after === "string") return { after, resourceVersion: rv };
  } catch {
    // Answered below, like any other token that is not ours.
  }
  throw badRequest("continue key is not valid: use the value of the last list's metadata.continue");
}

/** `resourceVersion` of a list: anything up to now is served from now; the future is a timeout, an exact past is gone. */
function checkVersion(context: ApiContext, query: URLSearchParams): void {
  const text = query.get("resourceVersion") ?? "";
  const how = query.get("resourceVersionMatch") ?? "";
  if (how !== "" && how !== "Exact" && how !== "NotOlderThan") {
    throw badRequest(`resourceVersionMatch \`${how}\` is not supported: use Exact or NotOlderThan`);
  }
  if (text === "" || text === "0") return;
  if (!/^\d+$/.test(text)) throw badRequest(`invalid resource version ${JSON.stringify(text)}`);
  if (Number(text) > context.store.revision)
    throw badRequest(`Too large resource version: ${text}, current: ${context.store.revision}`);
  if (how === "Exact" && Number(text) !== context.store.revision) {
    throw expired("The resourceVersion for the provided list is too old.");
  }
}

/** A list's `apiVersion` and `kind`. */
export function listType({ resource, version }: Target): { apiVersion: string; kind: string } {
  return { apiVersion: groupVersion(resource.group, version.name), kind: resource.listKind };
}
