import fastJsonPatch from "fast-json-patch";
import type { Target } from "../context.ts";
import { cloneJson, isObject } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { parseJson, parseYamlBody } from "../request/body.ts";
import { badRequest, StatusError, unsupportedMediaType } from "../status.ts";
import { mergePatch } from "./merge.ts";
import { showGoMap, strategicMerge } from "./strategic.ts";

/** The patch types that this server has, by media type. */
export type PatchType = "json" | "merge" | "strategic" | "apply";

const types = new Map<string, PatchType>([
  ["application/json-patch+json", "json"],
  ["application/merge-patch+json", "merge"],
  ["application/strategic-merge-patch+json", "strategic"],
  ["application/apply-patch+yaml", "apply"],
]);

/** The type of a PATCH body. Throws 415 for one that the resource does not take. */
export function patchType(mediaType: string, { resource }: Target): PatchType {
  const type = types.get(mediaType);
  if (type !== undefined && !(type === "strategic" && resource.custom)) return type;
  if (type === "strategic")
    throw unsupportedMediaType([...types.keys()].filter((known) => types.get(known) !== "strategic"));
  throw new StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
}

/** A patch that was read. */
export interface ReadPatch {
  /** Applied to the current object (again, after a conflict). */
  readonly change: (current: ApiObject) => unknown;
  /** How a refusal shows it, where that is not the patched object. */
  readonly shown?: string;
  /** What a strict reader says of the patch itself. */
  readonly strictFaults: readonly string[];
}

/** Reads a patch of a type. Throws 400 where it cannot be read. */
export function readPatch(type: Exclude<PatchType, "apply">, body: Buffer, { version }: Target): ReadPatch {
  const patch = parseJson(body);
  if (type === "json") {
    const operations = readOperations(patch);
    const strictFaults = unknownMembers(operations);
    return { change: (current) => applyOperations(current, operations), strictFaults };
  }
  if (!isObject(patch)) throw badRequest("a merge patch must be an object");
  const { type: goType } = version;
  if (type === "merge" || goType === undefined)
    return { change: (current) => mergePatch(current, patch), strictFaults: [] };
  return {
    change: (current) => strategicMerge(current, patch, goType),
    shown: showGoMap(patch),
    strictFaults: [],
  };
}

/** Reads the body of a server-side apply, YAML or JSON. Throws 400. */
export function readApply(body: Buffer): Record<string, unknown> {
  const value = parseYamlBody(body);
  if (!isObject(value)) throw badRequest("an apply patch must be an object");
  return value;
}

const members = new Set(["op", "path", "from", "value"]);

function unknownMembers(operations: readonly Operation[]): string[] {
  return operations.flatMap((operation, index) =>
    Object.keys(operation)
      .filter((name) => !members.has(name))
      .map((name) => `json patch unknown field ${JSON.stringify(`[${index}].${name}`)}`),
  );
}

type Operation = fastJsonPatch.Operation;

function readOperations(patch: unknown): Operation[] {
  if (!Array.isArray(patch)) throw badRequest("a json patch must be an array of operations");
  if (patch.length > 10_000) {
    throw new StatusError(
      413,
      "RequestEntityTooLarge",
      `The allowed maximum operations in a JSON patch is 10000, got ${patch.length}`,
    );
  }
  if (fastJsonPatch.validate(patch) !== undefined) throw rejected();
  return patch;
}

/** Kubernetes tells no more than this, whichever operation failed and why. */
function rejected(): StatusError {
  return new StatusError(
    422,
    "Invalid",
    "the server rejected our request due to an error in our request",
    {},
  );
}

function applyOperations(current: ApiObject, operations: readonly Operation[]): unknown {
  try {
    return fastJsonPatch.applyPatch(current, cloneJson([...operations]), false, true).newDocument;
  } catch (error) {
    // A name of the prototype is a TypeError.
    if (!(error instanceof fastJsonPatch.JsonPatchError) && !(error instanceof TypeError)) throw error;
    throw rejected();
  }
}
