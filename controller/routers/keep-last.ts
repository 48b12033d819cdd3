import type { ReadCanary, ReadService } from "../../api/canary/types.ts";
import type { Traffic } from "../decide/traffic.ts";

/**
 * `build`, made anew only when the Canary's spec or the traffic is another: a look at a canary asks for the same
 * again and again. Keeps one result for each Canary.
 */
export function keepLast<T>(
  build: (canary: ReadCanary, wanted: Traffic) => T,
): (canary: ReadCanary, wanted: Traffic) => T {
  const kept = new WeakMap<ReadService, { readonly traffic: string; readonly built: T }>();
  return (canary, wanted) => {
    const traffic = JSON.stringify(wanted);
    const last = kept.get(canary.service);
    if (last?.traffic === traffic) return last.built;
    const built = build(canary, wanted);
    kept.set(canary.service, { traffic, built });
    return built;
  };
}
