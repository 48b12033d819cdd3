import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from "../../../envoy/generated/envoy/config/core/v3/extension_pb.js";
import { ExtensionWithMatcherSchema } from "../../../envoy/generated/envoy/extensions/common/matching/v3/extension_matcher_pb.js";
import {
  CompositeSchema,
  ExecuteFilterActionSchema,
} from "../../../envoy/generated/envoy/extensions/filters/http/composite/v3/composite_pb.js";
import { RBACSchema as HttpRbacSchema } from "../../../envoy/generated/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { HttpFilter } from "../../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { TypedExtensionConfig as Extension } from "../../../envoy/generated/xds/core/v3/extension_pb.js";
import type {
  Matcher_MatcherList_PredicateSchema,
  Matcher_OnMatchSchema,
  MatcherSchema,
} from "../../../envoy/generated/xds/type/matcher/v3/matcher_pb.js";
import type { Action, Rule } from "../../model.ts";
import { httpFilter } from "../http-filter.ts";
import { quote } from "../matcher.ts";
import { rbacFields } from "../rbac.ts";
import { nothing, type Stage } from "../stages.ts";
import { extension, headerInput, hidePeer, namesHeader, peerHeader, showPeer } from "./peer.ts";
import { planTree, type TreePlan } from "./plan.ts";

type OnMatch = MessageInitShape<typeof Matcher_OnMatchSchema>;
type Matcher = MessageInitShape<typeof MatcherSchema>;
type Predicate = MessageInitShape<typeof Matcher_MatcherList_PredicateSchema>;

/**
 * One action's rules behind a matcher tree: Envoy finds the longest key that the path, or the caller's SPIFFE ID, begins
 * with, and runs an RBAC filter with the few rules that may match there. Undefined where a list is better.
 *
 * @see envoy.extensions.filters.http.composite.v3.ExecuteFilterAction
 */
export function treeFilters(stage: Stage, trustDomains: readonly string[]): HttpFilter[] | undefined {
  const { action, rules } = stage;
  const plan = planTree(rules.rules, trustDomains);
  if (plan === undefined) return undefined;
  if (plan.dimension === "path") return [composite(tree(plan, action, headerInput(":path")))];
  return [showPeer(), composite(peerTree(plan, stage, trustDomains)), hidePeer()];
}

function composite(xdsMatcher: Matcher): HttpFilter {
  return httpFilter("envoy.filters.http.composite", ExtensionWithMatcherSchema, {
    xdsMatcher,
    extensionConfig: {
      name: "envoy.filters.http.composite",
      typedConfig: anyPack(CompositeSchema, create(CompositeSchema)),
    },
  });
}

/**
 * Callers of the usual form are looked up by their one URI SAN. Of another certificate Envoy's RBAC may match a second
 * name or the subject, so all rules are looked at.
 */
function peerTree(plan: TreePlan, { action, rules }: Stage, trustDomains: readonly string[]): Matcher {
  const peer = headerInput(peerHeader);
  const usual = `-|spiffe://(${trustDomains.map(quote).join("|")})/ns/[^/,]+/sa/[^/,]+`;
  const odd = some([not(matches(peer, usual)), not(matches(headerInput(namesHeader), "-|[^/]*"))]);
  return {
    matcherType: {
      case: "matcherList",
      value: { matchers: [{ predicate: odd, onMatch: leaf(rules.rules, action) }] },
    },
    onNoMatch: { onMatch: { case: "matcher", value: tree(plan, action, peer) } },
  };
}

function tree({ leaves, rest }: TreePlan, action: Action, input: Extension): Matcher {
  return {
    matcherType: {
      case: "matcherTree",
      value: {
        input,
        treeType: {
          case: "prefixMatchMap",
          value: { map: Object.fromEntries(leaves.map(({ key, rules }) => [key, leaf(rules, action)])) },
        },
      },
    },
    // Nothing is left of DENY and AUDIT; ALLOW without a rule denies.
    ...((rest.length > 0 || action === "ALLOW") && { onNoMatch: leaf(rest, action) }),
  };
}

function leaf(rules: readonly Rule[], action: Action): OnMatch {
  const fields = rbacFields({ action, rules: { present: true, rules }, shadow: nothing });
  return {
    onMatch: {
      case: "action",
      value: extension("rules", ExecuteFilterActionSchema, {
        typedConfig: rbacExtension(fields),
      }),
    },
  };
}

function matches(input: Extension, regex: string): Predicate {
  return {
    matchType: {
      case: "singlePredicate",
      value: {
        input,
        matcher: {
          case: "valueMatch",
          value: {
            matchPattern: {
              case: "safeRegex",
              value: { regex, engineType: { case: "googleRe2", value: {} } },
            },
          },
        },
      },
    },
  };
}

function not(predicate: Predicate): Predicate {
  return { matchType: { case: "notMatcher", value: predicate } };
}

function some(predicate: Predicate[]): Predicate {
  return { matchType: { case: "orMatcher", value: { predicate } } };
}

/** The same message under Envoy's own name, as a composite's action wants it. */
function rbacExtension(fields: MessageInitShape<typeof HttpRbacSchema>): TypedExtensionConfig {
  return create(TypedExtensionConfigSchema, {
    name: "envoy.filters.http.rbac",
    typedConfig: anyPack(HttpRbacSchema, create(HttpRbacSchema, fields)),
  });
}
