import type { ApiContext, Target } from "../context.ts";
import { objectAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { checkListOptions, readInteger, readVersion } from "../request/options.ts";
import { groupVersion, storeName } from "../resources/resource.ts";
import { parseFieldSelector } from "../selectors/fields.ts";
import { parseLabelSelector } from "../selectors/labels.ts";
import { badRequest, expired, notFound, tooLargeVersion } from "../status.ts";
import type { Entry } from "../storage/store.ts";

/** The stored object of a target. Throws 404. */
export function getEntry(context: ApiContext, { resource, namespace, name = "" }: Target): Entry {
  const entry = context.store.get(storeName(resource), namespace, name);
  if (entry === undefined) throw notFound(resource, name);
  return entry;
}

export type Match = (object: ApiObject) => boolean;

/** The test of a query without selectors. */
export const everything: Match = () => true;

/** The selectors of a query as one test. Throws 400 where they cannot be read. */
export function readSelectors(query: URLSearchParams, { resource, version, namespace }: Target): Match {
  const labelText = query.get("labelSelector") ?? "";
  const fieldText = query.get("fieldSelector") ?? "";
  const labels = labelText === "" ? undefined : parseLabelSelector(labelText);
  const fields = fieldText === "" ? undefined : parseFieldSelector(fieldText, { resource, version });
  if (namespace === undefined && labels === undefined && fields === undefined) return everything;
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
  // The store gives those of the namespace, so it need not be asked again.
  const match = readSelectors(query, { ...target, namespace: undefined });
  checkListOptions(query, false);
  const limit = Math.max(readInteger(query, "limit"), 0);
  const token = query.get("continue") ?? "";
  const from = token === "" ? undefined : readContinue(token);
  const exact =
    checkVersion(context, query) ?? (from === undefined ? undefined : Number(from.resourceVersion));
  const all =
    exact === undefined
      ? context.store.list(storeName(target.resource), target.namespace)
      : listAsOf(context, target, exact, from === undefined);
  const rest = from === undefined ? all : all.filter(({ key }) => key > from.after);
  const resourceVersion = String(exact ?? context.store.revision);
  const entries: Entry[] = [];
  let read = 0;
  while (read < rest.length && (limit === 0 || entries.length < limit)) {
    const entry = rest[read++];
    // Without selectors no object is looked at, which would parse those that are not in use.
    if (entry !== undefined && (match === everything || match(entry.object))) entries.push(entry);
  }
  const last = entries.at(-1);
  // There is a next page wherever there is more, be it selected or not.
  if (read === rest.length || last === undefined) return { entries, resourceVersion };
  const next = JSON.stringify({ v: "meta.k8s.io/v1", rv: resourceVersion, after: last.key });
  return {
    entries,
    resourceVersion,
    continue: Buffer.from(next).toString("base64url"),
    // How many of the rest would be selected is not counted.
    ...(isSelective(query) ? {} : { remaining: rest.length - read }),
  };
}

function isSelective(query: URLSearchParams): boolean {
  return (query.get("labelSelector") ?? "") !== "" || (query.get("fieldSelector") ?? "") !== "";
}

function readContinue(token: string): { after: string; resourceVersion: string } {
  try {
    const { rv, after } = objectAt(JSON.parse(Buffer.from(token, "base64url").toString("utf8")));
    if (typeof rv === "string" && typeof after === "string") return { after, resourceVersion: rv };
  } catch {
    // Answered below, like any other token that is not ours.
  }
  const [first = ""] = Buffer.from(token, "base64url").toString("latin1");
  const shown = `\\u${first.charCodeAt(0).toString(16).padStart(4, "0")}`;
  throw badRequest(
    `invalid continue token: continue key is not valid: invalid character '${/[ -~]/.test(first) ? first : shown}' looking for beginning of value`,
  );
}

const tooOldToContinue =
  "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";

/** What the list was at `revision`, so that all pages show one state. Throws 410 where that is no longer known. */
function listAsOf(context: ApiContext, target: Target, revision: number, first: boolean): Entry[] {
  const name = storeName(target.resource);
  const changes = context.store.history(name).since(revision);
  if (changes === undefined)
    throw expired(first ? "The resourceVersion for the provided list is too old." : tooOldToContinue);
  const now = context.store.list(name, target.namespace);
  if (changes.length === 0) return now;
  const entries = new Map(now.map((entry) => [entry.key, entry]));
  for (const { entry, replaced } of changes.toReversed()) {
    if (replaced === undefined) entries.delete(entry.key);
    else if (target.namespace === undefined || entry.key.startsWith(`${target.namespace}/`))
      entries.set(entry.key, replaced);
  }
  return [...entries.values()].sort(({ key: left }, { key: right }) => (left < right ? -1 : 1));
}

/**
 * Reads `resourceVersion` of a list: a version up to now is served from now, one to come is a timeout.
 * Gives the version where exactly that one is asked for.
 */
function checkVersion(context: ApiContext, query: URLSearchParams): number | undefined {
  const text = query.get("resourceVersion") ?? "";
  const asked = readVersion(text, (why) => badRequest(`invalid resource version: ${why}`));
  if (asked > 0 && query.has("continue"))
    throw badRequest("specifying resource version is not allowed when using continue");
  if (asked > context.store.revision) throw tooLargeVersion(asked, context.store.revision);
  return query.get("resourceVersionMatch") === "Exact" ? asked : undefined;
}

/** A list's `apiVersion` and `kind`. */
export function listType({ resource, version }: Target): { apiVersion: string; kind: string } {
  return { apiVersion: groupVersion(resource.group, version.name), kind: resource.listKind };
}
