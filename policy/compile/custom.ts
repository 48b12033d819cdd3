import type { AuthorizationPolicy } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { Authorizer, CustomStage, Rule } from "../model.ts";
import { readAuthorizers } from "./authorizer.ts";
import type { MeshSettings } from "./mesh.ts";
import { byId } from "./order.ts";
import { compileRules, type Protocol } from "./rule.ts";

const badSuffix = "-deny-due-to-bad-CUSTOM-action";

/**
 * The CUSTOM policies of a workload, one stage a provider, by its name.
 *
 * A provider that is unknown or cannot be used, or several where one is allowed, denies what the rules match.
 * An HTTP authorizer says nothing of TCP connections: there its policies are left out.
 */
export function compileCustom(
  policies: readonly AuthorizationPolicy[],
  mesh: MeshSettings,
  protocol: Protocol,
): { readonly custom: CustomStage[]; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const { authorizers, invalid } = usableAuthorizers(mesh);
  const byProvider = Map.groupBy(policies, providerOf);
  const tooMany = byProvider.size > 1 && !mesh.severalAuthorizers;
  const custom = [...byProvider]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([provider, group]) => {
      const authorizer = tooMany ? undefined : authorizers.get(provider);
      if (authorizer?.protocol === "http" && protocol === "tcp") return [];
      const rules = group.flatMap((policy) => {
        if (authorizer === undefined)
          problems.push(badProvider(policy, whyBad(provider, tooMany, invalid, authorizers)));
        const compiled = compileRules(policy, "widen", mesh, protocol, `istio-ext-authz-${provider}-`);
        problems.push(...compiled.problems);
        return authorizer === undefined ? compiled.rules.map(markBad) : compiled.rules;
      });
      return [{ provider, authorizer, rules: { present: true, rules: rules.sort(byId) } }];
    });
  return { custom, problems };
}

/** The providers that can be asked: one whose service is unknown would keep a proxy from taking its listener. */
function usableAuthorizers({ extensionProviders, isKnownService = () => true }: MeshSettings) {
  const { authorizers, invalid } = readAuthorizers(extensionProviders);
  const lost = [...authorizers.values()].filter(({ host, port }) => !isKnownService(host, port));
  return {
    authorizers: new Map([...authorizers].filter(([, authorizer]) => !lost.includes(authorizer))),
    invalid: new Map([
      ...invalid,
      ...lost.map(
        ({ name, host, port }) => [name, `there is no service \`${host}\` with port ${port}`] as const,
      ),
    ]),
  };
}

function providerOf({ spec }: AuthorizationPolicy): string {
  return spec?.provider?.name ?? "";
}

function markBad(rule: Rule): Rule {
  return { ...rule, id: `${rule.id}${badSuffix}` };
}

function badProvider(policy: AuthorizationPolicy, message: string): Problem {
  return { resource: refOf(policy), field: "/spec/provider/name", message };
}

function whyBad(
  provider: string,
  tooMany: boolean,
  invalid: ReadonlyMap<string, string>,
  authorizers: ReadonlyMap<string, Authorizer>,
): string {
  const closed = "; requests that its rules match are denied";
  if (tooMany) return `one workload may have one provider only${closed}`;
  const reason = invalid.get(provider);
  if (reason) return `provider \`${provider}\`: ${reason}${closed}`;
  const known = [...authorizers.keys()].map((name) => `\`${name}\``).join(", ") || "none";
  return `there is no provider \`${provider}\` among \`extensionProviders\` (known: ${known})${closed}`;
}
