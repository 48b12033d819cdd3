import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type HeaderMatcherSchema,
  type QueryParameterMatcherSchema,
  type RouteMatch,
  RouteMatchSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { MetadataMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/metadata_pb.js";
import type { StringMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";
import type { ValueMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/value_pb.js";
import { jwtFilter, payloadKey } from "../../policy/envoy/metadata.ts";
import type { ClaimMatch, HttpMatch, NamedMatch, PathMatch, StringMatch } from "../model/route.ts";

/** Envoy's match for one of a route's matches; undefined: any request. @see envoy.config.route.v3.RouteMatch */
export function buildMatch(match: HttpMatch | undefined): RouteMatch {
  return create(RouteMatchSchema, {
    ...buildPath(match?.path),
    headers: (match?.headers ?? []).map(buildHeader),
    queryParameters: (match?.queryParameters ?? []).map(buildQueryParameter),
    dynamicMetadata: (match?.claims ?? []).map(buildClaim),
  });
}

function buildPath(
  path: PathMatch | undefined,
): Pick<MessageInitShape<typeof RouteMatchSchema>, "pathSpecifier" | "caseSensitive"> {
  if (path === undefined) return { pathSpecifier: { case: "prefix", value: "/" } };
  const caseSensitive = path.ignoreCase ? { caseSensitive: false } : {};
  switch (path.kind) {
    case "exact":
      return { pathSpecifier: { case: "path", value: path.value }, ...caseSensitive };
    case "prefix":
      return { pathSpecifier: { case: "prefix", value: path.value }, ...caseSensitive };
    case "segments":
      return { pathSpecifier: { case: "pathSeparatedPrefix", value: path.value }, ...caseSensitive };
    case "regex":
      return { pathSpecifier: { case: "safeRegex", value: { regex: path.value } } };
  }
}

/** A header that is not there fits where the match is negated. */
function buildHeader({ name, match, not }: NamedMatch): MessageInitShape<typeof HeaderMatcherSchema> {
  if (match.kind === "present")
    return { name, invertMatch: not, headerMatchSpecifier: { case: "presentMatch", value: true } };
  return {
    name,
    invertMatch: not,
    headerMatchSpecifier: { case: "stringMatch", value: buildString(match) },
    ...(not && { treatMissingHeaderAsEmpty: true }),
  };
}

function buildQueryParameter({
  name,
  match,
}: NamedMatch): MessageInitShape<typeof QueryParameterMatcherSchema> {
  return {
    name,
    queryParameterMatchSpecifier:
      match.kind === "present"
        ? { case: "presentMatch", value: true }
        : { case: "stringMatch", value: buildString(match) },
  };
}

/** @see envoy.type.matcher.v3.MetadataMatcher */
function buildClaim({ path, match, not }: ClaimMatch): MessageInitShape<typeof MetadataMatcherSchema> {
  return {
    filter: jwtFilter,
    path: [payloadKey, ...path].map((key) => ({ segment: { case: "key" as const, value: key } })),
    value: match.kind === "present" ? isThere : textOrElement(buildString(match)),
    invert: not,
  };
}

type ValueMatch = MessageInitShape<typeof ValueMatcherSchema>;

const isThere: ValueMatch = { matchPattern: { case: "presentMatch", value: true } };

function textOrElement(text: MessageInitShape<typeof StringMatcherSchema>): ValueMatch {
  const value: ValueMatch = { matchPattern: { case: "stringMatch", value: text } };
  const element: ValueMatch = {
    matchPattern: { case: "listMatch", value: { matchPattern: { case: "oneOf", value } } },
  };
  return { matchPattern: { case: "orMatch", value: { valueMatchers: [value, element] } } };
}

/** @see envoy.type.matcher.v3.StringMatcher */
export function buildString(match: StringMatch): MessageInitShape<typeof StringMatcherSchema> {
  return {
    matchPattern:
      match.kind === "regex"
        ? { case: "safeRegex", value: { regex: match.value } }
        : { case: match.kind, value: match.value },
  };
}
