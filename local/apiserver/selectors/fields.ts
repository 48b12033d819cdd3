import { at } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { type Resource, type ResourceVersion, storeName } from "../resources/resource.ts";
import { badRequest } from "../status.ts";

export type FieldMatch = (object: ApiObject) => boolean;

const involved = ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"];

/** The fields that each resource can be selected by, besides metadata.name and metadata.namespace. */
const selectable = new Map<string, readonly string[]>([
  [
    "pods",
    [
      "spec.nodeName",
      "spec.restartPolicy",
      "spec.schedulerName",
      "spec.serviceAccountName",
      "status.phase",
      "status.podIP",
      "status.nominatedNodeName",
    ],
  ],
  [
    "events",
    [...involved.map((field) => `involvedObject.${field}`), "reason", "reportingComponent", "source", "type"],
  ],
  ["secrets", ["type"]],
  ["namespaces", ["status.phase"]],
  ["nodes", ["spec.unschedulable"]],
  ["services", ["spec.clusterIP", "spec.type"]],
  ["jobs.batch", ["status.successful"]],
]);

/** What is selected from. */
interface Selected {
  readonly resource: Resource;
  readonly version: ResourceVersion;
}

/** Reads `fieldSelector` of a query: `a=b,c!=d`. Throws 400 for a field that the resource cannot be selected by. */
export function parseFieldSelector(text: string, { resource, version }: Selected): FieldMatch {
  const extra = version.selectableFields ?? selectable.get(storeName(resource)) ?? [];
  const terms = text
    .split(",")
    .map((term) => term.trim())
    .filter((term) => term !== "")
    .map((term) => {
      const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(term);
      if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      const field = (match[1] ?? "").trim();
      if (field !== "metadata.name" && field !== "metadata.namespace" && !extra.includes(field)) {
        throw badRequest(unknownField(field, extra, resource));
      }
      return { path: pathOf(field), wanted: unescape(match[3] ?? ""), equal: match[2] !== "!=" };
    });
  return (object) =>
    terms.every(({ path, wanted, equal }) => (textOf(at(object, ...path)) === wanted) === equal);
}

/** Numbers and booleans of custom resources are compared as texts. */
function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : "";
}

/** Kinds with fields of their own tell which one is wrong, all others which two there are. */
function unknownField(field: string, extra: readonly string[], { custom }: Resource): string {
  return extra.length > 0 || custom
    ? `field label not supported: ${field}`
    : `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`;
}

function pathOf(field: string): string[] {
  return field === "source" ? ["source", "component"] : field.split(".");
}

/** `\,` `\=` and `\\` stand for themselves. */
function unescape(text: string): string {
  return text.replace(/\\([,=\\])/g, "$1");
}
