import type { IncomingMessage } from "node:http";
import { parse as parseYaml, type SchemaOptions } from "yaml";
import { deeperThan } from "../json.ts";
import { protobufType, readProtobuf } from "../kinds/protobuf/decode.ts";
import { badRequest, tooLarge, unsupportedMediaType } from "../status.ts";
import { jsonDuplicates, yamlDuplicates } from "./duplicates.ts";

/** As kube-apiserver's `--max-request-bytes`. */
const bodyLimit = 3_145_728;
const deepest = 500;

/** Reads the whole body. Throws 413 above the limit, without reading the rest. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  if (Number(request.headers["content-length"] ?? 0) > bodyLimit) throw tooLarge(bodyLimit);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    size += chunk.length;
    if (size > bodyLimit) throw tooLarge(bodyLimit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The media type of the body, without its parameters. */
export function contentType(request: IncomingMessage): string {
  return (request.headers["content-type"] ?? "application/json").split(";")[0]?.trim().toLowerCase() ?? "";
}

/** Parses a body as its type says. Throws 415 for a type that is not served, 400 for what cannot be read. */
export function parseBody(body: Buffer, type: string): unknown {
  if (type === "application/json") return parseJson(body);
  if (type === "application/yaml" || type === "text/yaml" || type === "application/x-yaml")
    return parseYamlBody(body);
  if (type === protobufType) return parseProtobuf(body);
  throw unsupportedMediaType(["application/json", "application/yaml"]);
}

/** What a strict reader would say of a body that was parsed: names that stand twice. */
export function strictFaults(body: Buffer, type: string, value: unknown): string[] {
  // A protobuf reader keeps the last of what stands twice, and says nothing.
  if (type === protobufType) return [];
  const text = body.toString("utf8");
  const yaml = type !== "application/json" && !/^\s*\{/.test(text);
  return yaml ? yamlDuplicates(text) : jsonDuplicates(text, value);
}

/** Parses JSON. Throws 400 where it is malformed or nested too deep. */
export function parseJson(body: Buffer): unknown {
  return checked(() => JSON.parse(body.toString("utf8")));
}

/** Go's reader is one of YAML 1.1: `yes` and `on` are true, `0644` is octal, `<<` merges; times stay texts. */
const asGoReads: SchemaOptions & { uniqueKeys: boolean } = {
  schema: "yaml-1.1",
  merge: true,
  uniqueKeys: false,
  customTags: (tags) =>
    tags.filter((tag) => typeof tag === "string" || !textsInGo.has(`${tag.tag} ${tag.format ?? ""}`.trim())),
};

const textsInGo = new Set([
  "tag:yaml.org,2002:timestamp",
  "tag:yaml.org,2002:int TIME",
  "tag:yaml.org,2002:float TIME",
]);

/** Parses YAML (JSON included). Throws 400 where it is malformed, nested too deep, or grows by aliases. */
export function parseYamlBody(body: Buffer): unknown {
  const text = body.toString("utf8");
  if (/^\s*\{/.test(text)) return parseJson(body);
  return checked(() => parseYaml(text, { maxAliasCount: 100, ...asGoReads }));
}

/** Reads a built-in object in Kubernetes' protobuf. Throws 400 where it is none. */
function parseProtobuf(body: Buffer): unknown {
  let object: unknown;
  try {
    object = readProtobuf(body);
  } catch (error) {
    throw badRequest(error instanceof Error ? error.message : String(error));
  }
  return shallow(object);
}

function checked(parse: () => unknown): unknown {
  let value: unknown;
  try {
    value = parse();
  } catch (error) {
    const why = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw badRequest(
      `the object provided is unrecognized (must be of type or subset of JSON or YAML): ${why}`,
    );
  }
  return shallow(value);
}

function shallow(value: unknown): unknown {
  if (deeperThan(value, deepest))
    throw badRequest(`the object provided is nested deeper than ${deepest} levels`);
  return value;
}
