import { stringify as stringifyYaml } from "yaml";
import type { Target } from "../context.ts";
import { partialMetadata } from "../object.ts";
import type { Form } from "../request/negotiate.ts";
import { groupVersion } from "../resources/resource.ts";
import type { Entry } from "../storage/entry.ts";
import { type TableOptions, tableOf } from "../table/table.ts";
import { listType, type Page } from "./read.ts";
import { inVersion } from "./update.ts";

type Encoded = Pick<Entry, "apiVersion" | "json" | "object">;

const metaVersion = "meta.k8s.io/v1";

/** An object's JSON in the version that the target names; the stored text where it is the same. */
function objectJson(encoded: Encoded, target: Target): string {
  // Asked of the entry, so that its object need not be parsed.
  if (encoded.apiVersion === groupVersion(target.resource.group, target.version.name)) return encoded.json;
  return JSON.stringify(inVersion(encoded.object, target));
}

/** An object's JSON inside a list: Kubernetes' own kinds leave out what the list says already. */
function itemJson(entry: Encoded, target: Target): string {
  const json = objectJson(entry, target);
  if (target.resource.custom) return json;
  const { resource, version } = target;
  const head = `{"kind":"${resource.kind}","apiVersion":"${groupVersion(resource.group, version.name)}",`;
  if (json.startsWith(head)) return `{${json.slice(head.length)}`;
  const { kind: _kind, apiVersion: _version, ...rest } = inVersion(entry.object, target);
  return JSON.stringify(rest);
}

/** One object in the form that the client asked for. */
export function encodeObject(encoded: Encoded, target: Target, form: Form, table: TableOptions): string {
  if (form.as === "table") {
    const { metadata } = encoded.object;
    return JSON.stringify({
      ...tableOf([encoded.object], target, table),
      metadata: { resourceVersion: metadata.resourceVersion },
    });
  }
  if (form.as === "metadata") return JSON.stringify(partialMetadata(encoded.object));
  const json = objectJson(encoded, target);
  return form.yaml ? stringifyYaml(JSON.parse(json)) : json;
}

/** A list in the form that the client asked for. */
export function encodeList(page: Page, target: Target, form: Form, table: TableOptions): string {
  const metadata = {
    resourceVersion: page.resourceVersion,
    ...(page.continue === undefined ? {} : { continue: page.continue }),
    ...(page.remaining === undefined ? {} : { remainingItemCount: page.remaining }),
  };
  if (form.as === "table") {
    return JSON.stringify({
      ...tableOf(
        page.entries.map(({ object }) => object),
        target,
        table,
      ),
      metadata,
    });
  }
  if (form.as === "metadata") {
    const items = page.entries.map(({ object }) => partialMetadata(object));
    return JSON.stringify({ kind: "PartialObjectMetadataList", apiVersion: metaVersion, metadata, items });
  }
  const { apiVersion, kind } = listType(target);
  // A list of custom resources says that there is no next page.
  const shown = target.resource.custom ? { continue: "", ...metadata } : metadata;
  const head = `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":${JSON.stringify(shown)},"items":[`;
  const json = `${head}${page.entries.map((entry) => itemJson(entry, target)).join(",")}]}\n`;
  return form.yaml ? stringifyYaml(JSON.parse(json)) : json;
}
