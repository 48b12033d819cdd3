import { canonicalPath } from "./canonical.ts";

/** Istio's modes of MeshConfig's `pathNormalization`, and our own STRICT, which refuses what others read differently. */
export type PathNormalization = "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES" | "STRICT";

export const pathNormalizations: readonly PathNormalization[] = [
  "NONE",
  "BASE",
  "MERGE_SLASHES",
  "DECODE_AND_MERGE_SLASHES",
  "STRICT",
];

/** The path that policies and the upstream see, or the status that the request is refused with. */
export type Normalized = { readonly path: string } | { readonly status: 400 | 403 };

/**
 * The path of a request (with its query) as Envoy's connection manager leaves it, byte for byte.
 *
 * A fragment is refused in every mode. Escaped slashes are decoded first, then dot segments are resolved, then slashes
 * merged. STRICT refuses escaped slashes and dot segments with parameters, which servers disagree about.
 *
 * @param target bytes as latin1 text, beginning with a slash
 */
export function normalizePath(target: string, mode: PathNormalization): Normalized {
  if (target.includes("#")) return { status: 400 };
  if (mode === "NONE") return { path: target };
  const at = target.indexOf("?");
  let path = at < 0 ? target : target.slice(0, at);
  const query = at < 0 ? "" : target.slice(at);
  if (mode === "STRICT" && hasEscapedSlash(path)) return { status: 400 };
  if (mode === "DECODE_AND_MERGE_SLASHES") path = decodeSlashes(path);
  const canonical = canonicalPath(path);
  if (canonical === undefined) return { status: 400 };
  if (mode === "BASE") return { path: canonical + query };
  const merged = mergeSlashes(canonical);
  if (mode === "STRICT" && hasParametersOfDots(merged)) return { status: 403 };
  return { path: merged + query };
}

/** A path without its query, as policies compare it. */
export function withoutQuery(path: string): string {
  const query = path.indexOf("?");
  const end = query < 0 ? path.indexOf("#") : query;
  return end < 0 ? path : path.slice(0, end);
}

function hasEscapedSlash(path: string): boolean {
  return /%(2f|5c)/i.test(path);
}

function decodeSlashes(path: string): string {
  return path.includes("%") ? path.replace(/%2f/gi, "/").replace(/%5c/gi, "\\") : path;
}

/** Several slashes in a row become one; a path of slashes alone keeps the first and the last. */
function mergeSlashes(path: string): string {
  if (!path.includes("//")) return path;
  const middle = path
    .split("/")
    .filter((segment) => segment !== "")
    .join("/");
  return `${path.startsWith("/") ? "/" : ""}${middle}${path.endsWith("/") ? "/" : ""}`;
}

/** `/..;x` and the like: some servers drop what stands behind the semicolon, and then climb. */
function hasParametersOfDots(path: string): boolean {
  return /\/\.\.?;/.test(path);
}
