import { stringify as stringifyYaml } from "yaml";
import type { Target } from "../context.ts";
import { type ApiObject, partialMetadata } from "../object.ts";
import type { Form } from "../request/negotiate.ts";
import { type TableOptions, tableOf } from "../table/table.ts";
import { listType, type Page } from "./read.ts";
import { inVersion } from "./update.ts";

interface Encoded {
  readonly object: ApiObject;
  readonly json: string;
}

const metaVersion = "meta.k8s.io/v1";

/** An object's JSON in the version that the target names; the stored text where it is the same. */
function objectJson({ object, json }: Encoded, target: Target): string {
  const shown = inVersion(object, target);
  return shown === object ? json : JSON.stringify(shown);
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
  const head = `{"kind":${JSON.stringify(kind)},"apiVersion":${JSON.stringify(apiVersion)},"metadata":${JSON.stringify(metadata)},"items":[`;
  const json = `${head}${page.entries.map((entry) => objectJson(entry, target)).join(",")}]}\n`;
  return form.yaml ? stringifyYaml(JSON.parse(json)) : json;
}
