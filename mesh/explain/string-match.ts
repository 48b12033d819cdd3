import { RE2JS } from "re2js";
import type { StringMatcher } from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";

const compiled = new Map<string, RE2JS>();

/** The program of an RE2 pattern; each compiled once. */
export function regex(pattern: string): RE2JS {
  const known = compiled.get(pattern) ?? RE2JS.compile(pattern);
  compiled.set(pattern, known);
  return known;
}

/** Whether `value` fits; a regex must fit the whole value. @see envoy.type.matcher.v3.StringMatcher */
export function matchesString({ matchPattern, ignoreCase }: StringMatcher, value: string): boolean {
  const folded = (text: string) => (ignoreCase ? text.toLowerCase() : text);
  switch (matchPattern.case) {
    case "exact":
      return folded(value) === folded(matchPattern.value);
    case "prefix":
      return folded(value).startsWith(folded(matchPattern.value));
    case "suffix":
      return folded(value).endsWith(folded(matchPattern.value));
    case "contains":
      return folded(value).includes(folded(matchPattern.value));
    case "safeRegex":
      return regex(matchPattern.value.regex).matches(value);
    default:
      return false;
  }
}
