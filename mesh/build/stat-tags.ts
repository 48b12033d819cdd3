/** What becomes of the values of series' tags before they are counted. */
import { create } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { TransformStatSchema } from "../../envoy/generated/envoy/extensions/matching/actions/transform_stat/v3/transform_stat_pb.js";
import { StatTagValueInputSchema } from "../../envoy/generated/envoy/extensions/matching/common_inputs/stats/v3/stats_pb.js";
import {
  type Matcher,
  Matcher_MatcherList_PredicateSchema,
  MatcherSchema,
} from "../../envoy/generated/xds/type/matcher/v3/matcher_pb.js";
import { typed } from "./any.ts";

/** Istio leaves an absent gRPC status empty and absent response flags `-`; every other missing value reads `unknown`. */
const keepsOwnAbsence = new Set(["grpc_response_status", "response_flags"]);

/** What becomes of a tag's value before it is counted. */
export function rulesOf(name: string, valueFormat: string): { readonly rules?: Matcher } {
  if (!valueFormat.startsWith("%") || keepsOwnAbsence.has(name)) return {};
  if (name === "request_protocol") return { rules: grpcOrHttp };
  return { rules: name === "connection_security_policy" ? noneWhenMissing : unknownWhenMissing };
}

const tagValue = { name: "tag", typedConfig: typed(StatTagValueInputSchema, {}) };

/** Counts where the tag's value begins so, and nothing else. */
export function onlyWithPrefix(prefix: string): Matcher {
  const begins = create(Matcher_MatcherList_PredicateSchema, {
    matchType: {
      case: "singlePredicate",
      value: {
        input: tagValue,
        matcher: { case: "valueMatch", value: { matchPattern: { case: "prefix", value: prefix } } },
      },
    },
  });
  const drop = { name: "drop", typedConfig: typed(TransformStatSchema, { dropStat: {} }) };
  return create(MatcherSchema, {
    matcherType: {
      case: "matcherList",
      value: {
        matchers: [
          {
            predicate: { matchType: { case: "notMatcher", value: begins } },
            onMatch: { onMatch: { case: "action", value: drop } },
          },
        ],
      },
    },
  });
}

/** A tag value that Envoy could not tell is `unknown`, as Istio spells it. */
const unknownWhenMissing = whenMissing("unknown");
/** A connection without a certificate has no security. */
const noneWhenMissing = whenMissing("none");

function whenMissing(value: string): Matcher {
  const map = { "": becomes(value), "-": becomes(value) };
  return create(MatcherSchema, {
    matcherType: {
      case: "matcherTree",
      value: { input: tagValue, treeType: { case: "exactMatchMap", value: { map } } },
    },
  });
}

/** A content type of gRPC, or anything else. */
const grpcOrHttp: Matcher = create(MatcherSchema, {
  matcherType: {
    case: "matcherTree",
    value: {
      input: tagValue,
      treeType: { case: "prefixMatchMap", value: { map: { "application/grpc": becomes("grpc") } } },
    },
  },
  onNoMatch: becomes("http"),
});

function becomes(newTagValue: string) {
  const transform: Any = typed(TransformStatSchema, { updateTag: { newTagValue } });
  return { onMatch: { case: "action" as const, value: { name: newTagValue, typedConfig: transform } } };
}
