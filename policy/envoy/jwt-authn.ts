import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { DurationSchema, EmptySchema } from "@bufbuild/protobuf/wkt";
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  type JwtProviderSchema,
  type JwtRequirementSchema,
} from "../../envoy/generated/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { JwtRule } from "../model.ts";
import { payloadKey } from "./metadata.ts";

/** A cluster without endpoints, which every sidecar has: keys that cannot be had are never found. */
const blackHole = "BlackHoleCluster";

type Requirement = MessageInitShape<typeof JwtRequirementSchema>;

/**
 * The token rules of a workload, undefined where it has none.
 *
 * A request without a token passes; one with a token must satisfy the rule of its issuer.
 *
 * @see envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
 */
export function jwtAuthentication(rules: readonly JwtRule[]): JwtAuthentication | undefined {
  if (rules.length === 0) return undefined;
  const providers = Object.fromEntries(rules.map((rule) => [rule.name, provider(rule)]));
  return create(JwtAuthenticationSchema, {
    providers,
    rules: [
      {
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        requirementType: { case: "requires", value: requirement(rules) },
      },
    ],
    bypassCorsPreflight: true,
  });
}

const verified = (name: string): Requirement => ({ requiresType: { case: "providerName", value: name } });
const missing: Requirement = { requiresType: { case: "allowMissing", value: create(EmptySchema) } };

function requirement(rules: readonly JwtRule[]): Requirement {
  const each = rules.map(({ name }) => verified(name));
  const anyOf = (requirements: Requirement[]): Requirement => ({
    requiresType: { case: "requiresAny", value: { requirements } },
  });
  if (each.length === 1) return anyOf([...each, missing]);
  // No token at all is allowed only where every rule misses it: a token of an unknown issuer is refused.
  const allMissing: Requirement = {
    requiresType: { case: "requiresAll", value: { requirements: each.map((one) => anyOf([one, missing])) } },
  };
  return anyOf([...each, allMissing]);
}

function provider(rule: JwtRule): MessageInitShape<typeof JwtProviderSchema> {
  return {
    issuer: rule.issuer,
    audiences: [...rule.audiences],
    jwksSourceSpecifier:
      rule.jwks === undefined
        ? {
            case: "remoteJwks",
            value: {
              httpUri: {
                uri: "http://keys.invalid/",
                httpUpstreamType: { case: "cluster", value: blackHole },
                timeout: create(DurationSchema, { seconds: 1n }),
              },
            },
          }
        : { case: "localJwks", value: { specifier: { case: "inlineString", value: rule.jwks } } },
    forward: rule.forward,
    fromHeaders: rule.fromHeaders.map(({ name, prefix }) => ({ name, valuePrefix: prefix })),
    fromParams: [...rule.fromParams],
    fromCookies: [...rule.fromCookies],
    forwardPayloadHeader: rule.payloadHeader ?? "",
    claimToHeaders: rule.claimHeaders.map(({ header, claim }) => ({ headerName: header, claimName: claim })),
    payloadInMetadata: payloadKey,
    normalizePayloadInMetadata: { spaceDelimitedClaims: [...rule.spaceDelimitedClaims] },
  };
}
