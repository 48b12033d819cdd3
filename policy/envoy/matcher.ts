import { create } from "@bufbuild/protobuf";
import {
  type HeaderMatcher,
  HeaderMatcherSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import {
  type StringMatcher,
  StringMatcherSchema,
} from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";
import type { TextMatch } from "../model.ts";

/** Text as an RE2 pattern that matches it and nothing else. */
export function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

export function regex(pattern: string): StringMatcher {
  return create(StringMatcherSchema, { matchPattern: { case: "safeRegex", value: { regex: pattern } } });
}

/** @see envoy.type.matcher.v3.StringMatcher */
export function stringMatcher(match: TextMatch, ignoreCase = false): StringMatcher {
  switch (match.kind) {
    case "exact":
    case "prefix":
    case "suffix":
      // Envoy refuses an empty prefix or suffix: that is anything at all.
      if (match.value === "" && match.kind !== "exact") return regex(".*");
      return create(StringMatcherSchema, {
        matchPattern: { case: match.kind, value: match.value },
        ignoreCase,
      });
    case "present":
      return regex(".+");
  }
}

/** @see envoy.config.route.v3.HeaderMatcher */
export function headerMatcher(name: string, match: TextMatch, ignoreCase = false): HeaderMatcher {
  return create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier:
      match.kind === "present"
        ? { case: "presentMatch", value: true }
        : { case: "stringMatch", value: stringMatcher(match, ignoreCase) },
  });
}
