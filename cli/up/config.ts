import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import type { ImageProgram, Images } from "../../local/node/image.ts";
import { describeFileError, UsageError } from "../failure.ts";

/** The file that `up` reads where none is named. */
const defaultFile = "fairlead.yaml";

/** What a `fairlead.yaml` says. */
export interface UpConfig {
  /** Absolute; undefined where there is none. */
  readonly path?: string;
  readonly images: Images;
}

/**
 * Reads the file that is named, else `fairlead.yaml` of this folder where there is one.
 *
 * @throws Error with one line for the first thing that cannot be understood: file, field, what was found, what is allowed
 */
export function readUpConfig(named: string | undefined): UpConfig {
  if (named === undefined && !existsSync(defaultFile)) return { images: new Map() };
  const path = resolve(named ?? defaultFile);
  const content = parseFile(path);
  const fault = (field: string, found: unknown, allowed: string) =>
    new Error(`${path}: ${field}: found ${JSON.stringify(found)}, allowed is ${allowed}`);
  if (content === null || content === undefined) return { path, images: new Map() };
  if (!isRecord(content)) throw fault("the file", content, "an object with `images`");
  for (const key of Object.keys(content)) {
    if (key !== "images") throw fault(key, content[key], "`images` and nothing else");
  }
  const { images = {} } = content;
  if (!isRecord(images)) throw fault("images", images, "an object, image name to command");
  const entries = Object.entries(images).map(
    ([image, program]) => [image, readProgram(program, `images["${image}"]`, dirname(path), fault)] as const,
  );
  return { path, images: new Map(entries) };
}

type Fault = (field: string, found: unknown, allowed: string) => Error;

/** Programs run in the file's folder unless they say otherwise, so that their paths may be relative to it. */
function readProgram(value: unknown, field: string, folder: string, fault: Fault): ImageProgram {
  if (isWords(value) && value.length > 0) return { command: value, workingDir: folder };
  const allowed = "a list of words, or {command, args, env, workingDir}";
  if (!isRecord(value)) throw fault(field, value, allowed);
  const { command, args, env, workingDir, ...unknown } = value;
  const [stranger] = Object.keys(unknown);
  if (stranger !== undefined) throw fault(`${field}.${stranger}`, unknown[stranger], allowed);
  if (!isWords(command) || command.length === 0) {
    throw fault(`${field}.command`, command ?? null, "a list of one word or more");
  }
  if (args !== undefined && !isWords(args)) throw fault(`${field}.args`, args, "a list of words");
  if (workingDir !== undefined && typeof workingDir !== "string") {
    throw fault(`${field}.workingDir`, workingDir, "a path");
  }
  return {
    command,
    ...(args === undefined ? {} : { args }),
    ...(env === undefined ? {} : { env: readVariables(env, `${field}.env`, fault) }),
    workingDir: resolve(folder, workingDir ?? "."),
  };
}

function readVariables(env: unknown, field: string, fault: Fault): Readonly<Record<string, string>> {
  if (!isRecord(env)) throw fault(field, env, "an object, name to text");
  const entries = Object.entries(env).map(([name, value]) => {
    if (typeof value !== "string") throw fault(`${field}.${name}`, value, "text (quote numbers)");
    return [name, value] as const;
  });
  return Object.fromEntries(entries);
}

function parseFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${describeFileError(error)}`);
  }
  try {
    return parse(text);
  } catch (error) {
    const [words] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new Error(`${path} is not YAML: ${words}`);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWords(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((word) => typeof word === "string");
}
