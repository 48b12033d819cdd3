import { create } from "@bufbuild/protobuf";
import {
  type SourcedMetadata,
  SourcedMetadataSchema,
} from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import {
  type ValueMatcher,
  ValueMatcherSchema,
} from "../../envoy/generated/envoy/type/matcher/v3/value_pb.js";
import type { Leaf, TextMatch } from "../model.ts";
import { stringMatcher } from "./matcher.ts";

/** Where the jwt_authn filter leaves a verified token's claims. */
export const jwtFilter = "envoy.filters.http.jwt_authn";
export const payloadKey = "payload";

function at(path: readonly string[], value: ValueMatcher): SourcedMetadata {
  return create(SourcedMetadataSchema, {
    metadataMatcher: {
      filter: jwtFilter,
      path: [payloadKey, ...path].map((key) => ({ segment: { case: "key" as const, value: key } })),
      value,
    },
  });
}

/** A claim as text. */
export function claimText(path: readonly string[], match: TextMatch): SourcedMetadata {
  return at(
    path,
    create(ValueMatcherSchema, { matchPattern: { case: "stringMatch", value: stringMatcher(match) } }),
  );
}

/** A claim as a list with such an element. */
export function claimElement(path: readonly string[], match: TextMatch): SourcedMetadata {
  const element = create(ValueMatcherSchema, {
    matchPattern: { case: "stringMatch", value: stringMatcher(match) },
  });
  return at(
    path,
    create(ValueMatcherSchema, {
      matchPattern: { case: "listMatch", value: { matchPattern: { case: "oneOf", value: element } } },
    }),
  );
}

/** What an earlier filter left under a key: text, or a list with such an element. */
export function dynamicMetadata({
  filter,
  key,
  match,
  list,
}: Extract<Leaf, { readonly kind: "metadata" }>): SourcedMetadata {
  const text = create(ValueMatcherSchema, {
    matchPattern: { case: "stringMatch", value: stringMatcher(match) },
  });
  return create(SourcedMetadataSchema, {
    metadataMatcher: {
      filter,
      path: [{ segment: { case: "key", value: key } }],
      value: list
        ? { matchPattern: { case: "listMatch", value: { matchPattern: { case: "oneOf", value: text } } } }
        : text,
    },
  });
}
