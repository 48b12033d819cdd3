import type { AdvanceSettings } from "../analysis/judge/types.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { SessionAffinity } from "../api/generated/canaries.ts";
import { quoteAll } from "../api/schema/suggest.ts";
import type { CookieNames } from "./decide/affinity.ts";
import type { DecisionSpec } from "./decide/spec.ts";
import { drivenProviders } from "./routers/choose.ts";
import { drivenTargets } from "./targets/kind.ts";

/** What decisions need of a Canary and of how its runs are analysed. */
export function decisionSpec(canary: ReadCanary, advance: AdvanceSettings): DecisionSpec {
  const { name, namespace, names, analysis } = canary;
  const cookies = analysis.sessionAffinity && cookieNames(analysis.sessionAffinity);
  return {
    canary: `${name}.${namespace}`,
    target: `${names.canaryWorkload}.${namespace}`,
    primary: `${names.primaryWorkload}.${namespace}`,
    targetKind: canary.target.kind,
    provider: canary.provider,
    interval: analysis.interval,
    progressDeadline: canary.progressDeadline,
    skipAnalysis: canary.skipAnalysis,
    revertOnDeletion: canary.revertOnDeletion,
    plan: analysis.strategy,
    ...(cookies && { cookies }),
    advance,
    stepWeightPromotion: analysis.stepWeightPromotion,
    hooks: analysis.webhooks,
  };
}

/** Without a name of its own the primary's cookie is named after the canary's: users of the primary stay there too. */
function cookieNames({ cookieName, primaryCookieName }: SessionAffinity): CookieNames {
  return { canary: cookieName, primary: primaryCookieName ?? `${cookieName}-primary` };
}

/** Why a Canary is accepted and yet not driven; undefined where it is. */
export function notDriven({ provider, target, analysis, service }: ReadCanary): string | undefined {
  if (!drivenProviders.includes(provider))
    return `provider \`${provider}\` is not driven yet: allowed are ${quoteAll(drivenProviders)}`;
  if (!drivenTargets.includes(target.kind))
    return `targets of kind \`${target.kind}\` are not driven yet: allowed are ${quoteAll(drivenTargets)}`;
  if (target.kind === "Service" && (provider === "kubernetes" || provider === "nginx"))
    return `provider \`${provider}\` cannot lead users past a target of kind \`Service\`: use one with routes`;
  const { strategy, sessionAffinity, preview } = analysis;
  const asked: readonly (readonly [string, boolean])[] = [
    ["mirror", strategy.kind !== "ab-testing" && strategy.mirror !== undefined],
    ["sessionAffinity", sessionAffinity !== undefined],
    ["preview", preview.length > 0],
    ["match", strategy.kind !== "blue-green" && strategy.match.length > 0],
  ];
  const field = asked.find(([, is]) => is)?.[0];
  if (field === undefined) return undefined;
  if (service.appProtocol?.toLowerCase() === "tcp")
    return `\`analysis.${field}\` needs HTTP: the service's appProtocol is \`tcp\``;
  if (provider === "nginx" && field !== "match")
    return `\`analysis.${field}\` is not driven by provider \`nginx\`: remove it`;
  if (provider === "kubernetes")
    return `\`analysis.${field}\` is not driven by provider \`kubernetes\`: remove it`;
  return undefined;
}
