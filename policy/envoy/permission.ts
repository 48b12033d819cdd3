import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type Permission, PermissionSchema } from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import { UriTemplateMatchConfigSchema } from "../../envoy/generated/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { PathMatcherSchema } from "../../envoy/generated/envoy/type/matcher/v3/path_pb.js";
import type { Predicate } from "../model.ts";
import { cidr } from "./cidr.ts";
import { headerMatcher, stringMatcher } from "./matcher.ts";
import { dynamicMetadata } from "./metadata.ts";

type RuleOf = NonNullable<Permission["rule"]>;

function make(rule: RuleOf): Permission {
  return create(PermissionSchema, { rule });
}

/**
 * For what somebody asks, as Envoy's RBAC spells it.
 *
 * @throws Error for a predicate about who asks, which `principal.ts` prints
 * @see envoy.config.rbac.v3.Permission
 */
export function permission(predicate: Predicate): Permission {
  switch (predicate.kind) {
    case "any":
      return make({ case: "any", value: true });
    case "all":
      return create(PermissionSchema, {
        rule: { case: "andRules", value: { rules: predicate.of.map(permission) } },
      });
    case "some":
      if (predicate.of.length === 0)
        return make({ case: "notRule", value: make({ case: "any", value: true }) });
      return create(PermissionSchema, {
        rule: { case: "orRules", value: { rules: predicate.of.map(permission) } },
      });
    case "not":
      return make({ case: "notRule", value: permission(predicate.of) });
    case "method":
      return make({ case: "header", value: headerMatcher(":method", predicate.match) });
    case "host":
      return make({ case: "header", value: headerMatcher(":authority", predicate.match, true) });
    case "path":
      return make({
        case: "urlPath",
        value: create(PathMatcherSchema, { rule: { case: "path", value: stringMatcher(predicate.match) } }),
      });
    case "path-template":
      return create(PermissionSchema, {
        rule: {
          case: "uriTemplate",
          value: {
            name: "uri-template",
            typedConfig: anyPack(
              UriTemplateMatchConfigSchema,
              create(UriTemplateMatchConfigSchema, {
                pathTemplate: predicate.template.replaceAll("{**}", "**").replaceAll("{*}", "*"),
              }),
            ),
          },
        },
      });
    case "destination-ip":
      return make({ case: "destinationIp", value: cidr(predicate.block) });
    case "destination-port":
      return make({ case: "destinationPort", value: predicate.port });
    case "sni":
      return make({ case: "requestedServerName", value: stringMatcher(predicate.match) });
    case "metadata":
      return make({ case: "sourcedMetadata", value: dynamicMetadata(predicate) });
    default:
      throw new Error(`\`${predicate.kind}\` says nothing of what is asked for`);
  }
}
