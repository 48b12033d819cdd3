import type { Decision } from "./effects.ts";
import type { Observation } from "./observation.ts";
import type { DecisionSpec } from "./spec.ts";
import type { Progressing, Resting, Waiting } from "./state.ts";

/** The Canary names another provider than before: when its route carries what it should, the former one's objects go. */
export function leaveFormerProvider(
  state: Progressing | Resting | Waiting,
  { route, formerProvider }: Observation,
  { provider, canary }: DecisionSpec,
): Decision | undefined {
  if (formerProvider === undefined || route.kind !== "present" || !route.asWanted) return undefined;
  return {
    next: { ...state, provider },
    effects: [
      { kind: "leave-provider" },
      { kind: "store" },
      {
        kind: "event",
        type: "Normal",
        reason: "ProviderChanged",
        message: `Provider of ${canary} is \`${provider}\` now, the routes of \`${formerProvider}\` are taken away`,
      },
    ],
  };
}
