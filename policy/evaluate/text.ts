import type { TextMatch } from "../model.ts";

/** A comparison made ready. `present` needs at least one character. */
export function textTest(match: TextMatch): (text: string) => boolean {
  if (match.kind === "present") return (text) => text !== "";
  // The text itself stands in the closure: one step less to memory that is rarely in the cache.
  const { kind, value } = match;
  switch (kind) {
    case "exact":
      return (text) => text === value;
    case "prefix":
      return (text) => text.startsWith(value);
    case "suffix":
      return (text) => text.endsWith(value);
  }
}

export function lowerCase(match: TextMatch): TextMatch {
  return match.kind === "present" ? match : { kind: match.kind, value: asciiLowerCase(match.value) };
}

/** Envoy folds ASCII letters only. */
export function asciiLowerCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}
