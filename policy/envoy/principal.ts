import { create } from "@bufbuild/protobuf";
import { type Principal, PrincipalSchema } from "../../envoy/generated/envoy/config/rbac/v3/rbac_pb.js";
import type { StringMatcher } from "../../envoy/generated/envoy/type/matcher/v3/string_pb.js";
import type { Predicate, TextMatch } from "../model.ts";
import { cidr } from "./cidr.ts";
import { headerMatcher, quote, regex, stringMatcher } from "./matcher.ts";
import { claimElement, claimText } from "./metadata.ts";

type Identifier = NonNullable<Principal["identifier"]>;

function make(identifier: Identifier): Principal {
  return create(PrincipalSchema, { identifier });
}

function named(principalName: StringMatcher): Principal {
  return make({
    case: "authenticated",
    value: { $typeName: "envoy.config.rbac.v3.Principal.Authenticated", principalName },
  });
}

/**
 * Who asks, as Envoy's RBAC spells it.
 *
 * @throws Error for a predicate about the request's target, which `permission.ts` prints
 * @see envoy.config.rbac.v3.Principal
 */
export function principal(predicate: Predicate): Principal {
  switch (predicate.kind) {
    case "any":
      return make({ case: "any", value: true });
    case "all":
      return create(PrincipalSchema, {
        identifier: { case: "andIds", value: { ids: predicate.of.map(principal) } },
      });
    case "some":
      // Envoy refuses an empty list: nothing at all is the opposite of anything.
      if (predicate.of.length === 0)
        return make({ case: "notId", value: make({ case: "any", value: true }) });
      return create(PrincipalSchema, {
        identifier: { case: "orIds", value: { ids: predicate.of.map(principal) } },
      });
    case "not":
      return make({ case: "notId", value: principal(predicate.of) });
    case "principal":
      return named(spiffe(predicate.match));
    case "namespace":
      return named(regex(`.*/ns/${predicate.glob.split("*").map(quote).join(".*")}/.*`));
    case "service-account":
      return named(
        regex(`spiffe://.+/ns/${quote(predicate.namespace)}/(.+/|)sa/${quote(predicate.name)}(/.+)?`),
      );
    case "trust-domain":
      return named(trustDomain(predicate.match));
    case "request-principal":
      return create(PrincipalSchema, {
        identifier: {
          case: "andIds",
          value: {
            ids: [
              make({ case: "sourcedMetadata", value: claimText(["iss"], predicate.issuer) }),
              make({ case: "sourcedMetadata", value: claimText(["sub"], predicate.subject) }),
            ],
          },
        },
      });
    case "claim":
      return create(PrincipalSchema, {
        identifier: {
          case: "orIds",
          value: {
            ids: [
              make({ case: "sourcedMetadata", value: claimText(predicate.path, predicate.match) }),
              make({ case: "sourcedMetadata", value: claimElement(predicate.path, predicate.match) }),
            ],
          },
        },
      });
    case "source-ip":
      return make({ case: "directRemoteIp", value: cidr(predicate.block) });
    case "remote-ip":
      return make({ case: "remoteIp", value: cidr(predicate.block) });
    case "header":
      return make({ case: "header", value: headerMatcher(predicate.name, predicate.match) });
    default:
      throw new Error(`\`${predicate.kind}\` says nothing of who asks`);
  }
}

/** A principal's text with its scheme; a suffix stays one behind it. */
function spiffe(match: TextMatch): StringMatcher {
  switch (match.kind) {
    case "exact":
    case "prefix":
      return stringMatcher({ kind: match.kind, value: `spiffe://${match.value}` });
    case "suffix":
      return regex(`spiffe://.*${quote(match.value)}`);
    case "present":
      return regex(".+");
  }
}

/** What stands between the scheme and the first slash. */
function trustDomain(match: TextMatch): StringMatcher {
  switch (match.kind) {
    case "exact":
      return stringMatcher({ kind: "prefix", value: `spiffe://${match.value}/` });
    case "prefix":
      return regex(`spiffe://${quote(match.value)}[^/]*/.*`);
    case "suffix":
      return regex(`spiffe://[^/]*${quote(match.value)}/.*`);
    case "present":
      return regex("spiffe://[^/]+/.*");
  }
}
