import fastJsonPatch from "fast-json-patch";
import type { Target } from "../context.ts";
import { cloneJson, isObject } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { parseJson, parseYamlBody } from "../request/body.ts";
import { badRequest, StatusError, unsupportedMediaType } from "../status.ts";
import { mergePatch } from "./merge.ts";
import { strategicMerge } from "./strategic.ts";

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
  throw unsupportedMediaType(
    [...types.keys()].filter((name) => !(resource.custom && types.get(name) === "strategic")),
  );
}

/** Reads a patch once; what it returns is applied to the current object (again, after a conflict). */
export function readPatch(
  type: Exclude<PatchType, "apply">,
  body: Buffer,
  { version }: Target,
): (current: ApiObject) => unknown {
  const patch = parseJson(body);
  if (type === "json") {
    const operations = readOperations(patch);
    return (current) => applyOperations(current, operations);
  }
  if (!isObject(patch)) throw badRequest("a merge patch must be an object");
  const { type: goType } = version;
  return type === "merge" || goType === undefined
    ? (current) => mergePatch(current, patch)
    : (current) => strategicMerge(current, patch, goType);
}

/** Reads the body of a server-side apply, YAML or JSON. Throws 400. */
export function readApply(body: Buffer): Record<string, unknown> {
  const value = parseYamlBody(body);
  if (!isObject(value)) throw badRequest("an apply patch must be an object");
  return value;
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
  const fault = fastJsonPatch.validate(patch);
  if (fault !== undefined) throw badRequest(`invalid json patch: ${fault.message.split("\n")[0] ?? ""}`);
  return patch;
}

function applyOperations(current: ApiObject, operations: readonly Operation[]): unknown {
  try {
    return fastJsonPatch.applyPatch(current, cloneJson([...operations]), false, true).newDocument;
  } catch (error) {
    if (!(error instanceof fastJsonPatch.JsonPatchError)) throw error;
    // Kubernetes tells no more than this, whichever operation failed.
    throw new StatusError(
      422,
      "Invalid",
      "the server rejected our request due to an error in our request",
      {},
    );
  }
}
