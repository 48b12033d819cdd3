import type { AdvanceSettings } from "../../analysis/judge/types.ts";
import type { Strategy } from "../../api/canary/types.ts";
import type { Hook, HookType } from "../../api/hooks.ts";
import type { Milliseconds, Percent } from "../../lib/units.ts";
import type { CookieNames } from "./affinity.ts";

/** A hook of the Canary, as the decision sees it. */
export interface SpecHook extends Hook {
  readonly muteAlert: boolean;
}

/** What decisions need of a Canary's spec, defaults applied. */
export interface DecisionSpec {
  /** `<name>.<namespace>` of the Canary and of its target: Flagger's texts use both. */
  readonly canary: string;
  readonly target: string;
  /** `<target>-primary.<namespace>`. */
  readonly primary: string;
  /** Kind of the target, e.g. `Deployment`. */
  readonly targetKind: string;
  /** What carries the traffic. */
  readonly provider: string;
  readonly interval: Milliseconds;
  readonly progressDeadline: Milliseconds;
  readonly skipAnalysis: boolean;
  readonly revertOnDeletion: boolean;
  readonly plan: Strategy;
  /** Session affinity, where it is asked. */
  readonly cookies?: CookieNames;
  readonly advance: AdvanceSettings;
  /** Percent more for the primary per tick of a promotion; 0: all at once. */
  readonly stepWeightPromotion: Percent;
  readonly hooks: readonly SpecHook[];
}

export function hooksOf(spec: DecisionSpec, ...types: readonly HookType[]): readonly SpecHook[] {
  return spec.hooks.filter(({ type }) => types.includes(type));
}
