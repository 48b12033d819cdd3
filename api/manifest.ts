/** Reads manifests: several YAML or JSON documents in one text, as kubectl takes them. */
import {
  type CollectionTag,
  type Document,
  isMap,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type ScalarTag,
} from "yaml";
import type { UnreadObject } from "./resource.ts";
import { steps } from "./schema/pointer.ts";
import { isObject } from "./schema/prepare.ts";

export interface ManifestObject {
  readonly object: UnreadObject;
  readonly file: string;
  /** First line of the object, from 1. */
  readonly line: number;
  /** The line of a field (JSON Pointer into the object), or of the nearest field around it. */
  lineOf(pointer: string): number;
}

export interface ManifestProblem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

export interface Manifests {
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly ManifestProblem[];
}

/** How often aliases may multiply what stands behind anchors: a manifest's anchors stay far below, an alias bomb does not. */
const maxAliasCount = 1000;

/** What kubectl's parser does not know: dates and base 60 stay strings. */
const unwanted = ["tag:yaml.org,2002:timestamp", "TIME"];

/**
 * Every object of `text`; a document that cannot be read is a problem with its line, and the others are still read.
 * Booleans and octals are YAML 1.1's, as kubectl reads them (`on` is true, `0644` is 420). A List is its items.
 */
export function readManifests(text: string, file: string): Manifests {
  const lines = new LineCounter();
  const objects: ManifestObject[] = [];
  const problems: ManifestProblem[] = [];
  for (const document of parse(text, lines, (message) => problems.push({ file, line: 1, message }))) {
    const broken = document.errors.map((error) => ({
      file,
      line: lines.linePos(error.pos[0]).line,
      message: word(error),
    }));
    problems.push(...broken);
    if (broken.length > 0) continue;
    const start = lineAt(document, [], lines);
    try {
      const value: unknown = document.toJS({ maxAliasCount });
      if (value === null || value === undefined) continue;
      collect(value, { document, lines, file, path: [] }, objects, problems);
    } catch (error) {
      problems.push({
        file,
        line: start,
        message: word(error),
      });
    }
  }
  return { objects, problems };
}

function parse(
  text: string,
  lineCounter: LineCounter,
  onFailure: (message: string) => void,
): readonly Document.Parsed[] {
  try {
    const documents = parseAllDocuments(text, {
      lineCounter,
      version: "1.1",
      prettyErrors: false,
      customTags: (tags) => tags.filter((tag) => typeof tag === "string" || !isUnwanted(tag)),
    });
    return "empty" in documents ? [] : documents;
  } catch (error) {
    // The parser's own recursion ends here when a document is nested too deeply.
    onFailure(word(error));
    return [];
  }
}

function isUnwanted(tag: ScalarTag | CollectionTag): boolean {
  return (
    unwanted.includes(tag.tag) ||
    ("format" in tag && tag.format !== undefined && unwanted.includes(tag.format))
  );
}

interface Place {
  readonly document: Document.Parsed;
  readonly lines: LineCounter;
  readonly file: string;
  readonly path: readonly (string | number)[];
}

function collect(value: unknown, place: Place, objects: ManifestObject[], problems: ManifestProblem[]): void {
  const { document, lines, file, path } = place;
  const line = lineAt(document, path, lines);
  if (
    isObject(value) &&
    Array.isArray(value.items) &&
    typeof value.kind === "string" &&
    value.kind.endsWith("List")
  ) {
    value.items.forEach((item: unknown, index) => {
      collect(item, { ...place, path: [...path, "items", index] }, objects, problems);
    });
    return;
  }
  const missing = whatIsMissing(value);
  if (missing !== undefined) problems.push({ file, line, message: missing });
  else if (isManifest(value)) {
    const lineOf = (pointer: string) => lineAt(document, [...path, ...steps(pointer)], lines);
    objects.push({ object: value, file, line, lineOf });
  }
}

function whatIsMissing(value: unknown): string | undefined {
  if (!isObject(value)) return "is not a Kubernetes object: needs `apiVersion`, `kind` and `metadata`";
  if (typeof value.apiVersion !== "string" || value.apiVersion === "") return "has no `apiVersion`";
  if (typeof value.kind !== "string" || value.kind === "") return "has no `kind`";
  if (!isObject(value.metadata)) return "has no `metadata`";
  const { name, generateName } = value.metadata;
  if (typeof name !== "string" && typeof generateName !== "string") return "has no `metadata.name`";
  return undefined;
}

function isManifest(value: unknown): value is UnreadObject {
  return whatIsMissing(value) === undefined;
}

/** The line of the innermost node on `path` that exists. */
function lineAt(document: Document.Parsed, path: readonly (string | number)[], lines: LineCounter): number {
  let node: unknown = document.contents;
  let offset = document.contents?.range[0] ?? document.range[0];
  for (const step of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => String(key) === String(step)) : undefined;
    const next: unknown = pair ? pair.value : isSeq(node) ? node.items[Number(step)] : undefined;
    const start = startOf(pair?.key) ?? startOf(next);
    if (start === undefined) break;
    offset = start;
    node = next;
  }
  return lines.linePos(offset).line;
}

function startOf(node: unknown): number | undefined {
  return isObject(node) && Array.isArray(node.range) && typeof node.range[0] === "number"
    ? node.range[0]
    : undefined;
}

function word(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (/call stack/.test(message)) return "is nested too deeply";
  return (message.split("\n")[0] ?? "").trim();
}
