import type { Destination, Forward, HeaderChanges, LiveCanary } from "./route.ts";

/** What a shield takes of a route: the canary's requests of some methods, which the primary answers where they fail. */
export interface RouteShield {
  /** HTTP methods, upper case. */
  readonly methods: readonly string[];
  /** Milliseconds. */
  readonly hangAfter: number;
}

/** Why a route can't have the shield that its run asks for. */
export interface ShieldConflict {
  /** Below the route, e.g. `["route", 1, "headers"]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/**
 * What of a route does not go together with its run's shield: with one of these the route is served without it.
 *
 * @returns nothing for a route that does not split between the run's two versions, or whose run has no shield
 */
export function shieldConflicts(
  { destinations, timeout = 0, mirrors }: Pick<Forward, "destinations" | "timeout" | "mirrors">,
  { shield, primaryHost, canaryHost }: Pick<LiveCanary, "shield" | "primaryHost" | "canaryHost">,
): readonly ShieldConflict[] {
  const hosts = destinations.map(({ host }) => host);
  if (shield === undefined || !hosts.includes(primaryHost) || !hosts.includes(canaryHost)) return [];
  const { hangAfter } = shield;
  const conflicts: ShieldConflict[] = [];
  if (destinations.length > 2)
    conflicts.push({
      path: ["route"],
      message: `has ${destinations.length} destinations, and a shield knows two: the primary and the canary`,
    });
  for (const [index, { headers }] of destinations.entries()) {
    if (changesNothing(headers)) continue;
    conflicts.push({
      path: ["route", index, "headers"],
      message:
        "of one destination would be on the other's answers too, as the primary answers for the canary",
    });
  }
  if (timeout > 0 && hangAfter >= timeout / 2)
    conflicts.push({
      path: ["timeout"],
      message: `of ${timeout} ms leaves the primary no time after hangAfter ${hangAfter} ms, allowed is less than half`,
    });
  for (const [index, { percent }] of mirrors.entries()) {
    // Envoy draws one number for the canary's share and for mirrors; a finer share than a mirror's is independent of it.
    if (index < 2 && Number.isInteger(percent * (index === 0 ? 100 : 1))) continue;
    conflicts.push({
      path: ["mirror"],
      message: `of ${percent} % is as fine as the canary's share, allowed are hundredths of a percent and two mirrors`,
    });
  }
  return conflicts;
}

function changesNothing({ request, response }: HeaderChanges): boolean {
  return [request, response].every(
    ({ set, add, remove }) => set.length === 0 && add.length === 0 && remove.length === 0,
  );
}

/** The two destinations of a route that its run's shield covers; undefined where it covers none. */
export function shieldedArms(
  action: Pick<Forward, "destinations" | "timeout" | "mirrors">,
  live: LiveCanary,
): { readonly primary: Destination; readonly canary: Destination } | undefined {
  const primary = action.destinations.find(({ host }) => host === live.primaryHost);
  const canary = action.destinations.find(({ host }) => host === live.canaryHost);
  if (live.shield === undefined || primary === undefined || canary === undefined) return undefined;
  return shieldConflicts(action, live).length === 0 ? { primary, canary } : undefined;
}
