import type { TextMatch } from "../model.ts";

/**
 * Istio's wildcards: `*` alone is anything that is there, `x*` a prefix, `*x` a suffix; a star elsewhere is a
 * star, so `*x*` is the suffix `x*`.
 */
export function textMatch(pattern: string): TextMatch {
  if (pattern === "*") return { kind: "present" };
  if (pattern.startsWith("*")) return { kind: "suffix", value: pattern.slice(1) };
  if (pattern.endsWith("*")) return { kind: "prefix", value: pattern.slice(0, -1) };
  return { kind: "exact", value: pattern };
}
