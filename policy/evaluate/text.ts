import type { TextMatch } from "../model.ts";

/** A comparison made ready. `present` needs at least one character. */
export function textTest(match: TextMatch): (text: string) => boolean {
  switch (match.kind) {
    case "exact":
      return (text) => text === match.value;
    case "prefix":
      return (text) => text.startsWith(match.value);
    case "suffix":
      return (text) => text.endsWith(match.value);
    case "present":
      return (text) => text !== "";
  }
}

export function lowerCase(match: TextMatch): TextMatch {
  return match.kind === "present" ? match : { kind: match.kind, value: asciiLowerCase(match.value) };
}

/** Envoy folds ASCII letters only. */
export function asciiLowerCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}
