import { changedKeys } from "../model/shared-map.ts";
import type { Resource } from "./resource.ts";
import { noResources, type ResourceSet } from "./resource-set.ts";
import type { Withdrawals } from "./withdrawals.ts";

/** What was asked to be served under a key, and what is. */
interface Admitted {
  readonly asked: ResourceSet;
  readonly served: ResourceSet;
  /** By name: the last resource before the present one that a proxy took. */
  readonly good: Map<string, Resource>;
}

/**
 * Puts sets through the withdrawals: a refused resource gives way to the last good one of its name.
 *
 * The work is in proportion to the change; while nothing is withdrawn, what is served is the set itself.
 */
export function createAdmission(withdrawals: Withdrawals) {
  const known = new Map<string, Admitted>();

  return {
    /** The set to serve under `key`, the very object from before where nothing differs. */
    admit(key: string, asked: ResourceSet): ResourceSet {
      const before = known.get(key);
      if (before?.asked === asked && before.served === asked && withdrawals.isEmpty()) return asked;
      const good = before?.good ?? new Map<string, Resource>();
      for (const name of changedKeys(before?.asked ?? noResources, asked)) {
        const replaced = before?.served.get(name);
        if (replaced === undefined || asked.get(name) === undefined) good.delete(name);
        else if (withdrawals.isGood(replaced)) good.set(name, replaced);
      }
      const served = withdrawals.isEmpty() ? asked : replaceRefused(asked, good);
      const kept = before !== undefined && served.changedSince(before.served).length === 0;
      const after = { asked, served: kept ? before.served : served, good };
      known.set(key, after);
      return after.served;
    },
    forget: (key: string): boolean => known.delete(key),
  };

  function replaceRefused(asked: ResourceSet, good: ReadonlyMap<string, Resource>): ResourceSet {
    const replaced: [string, Resource | undefined][] = [];
    for (const [name, resource] of asked) {
      const admitted = withdrawals.admit(resource, good.get(name));
      if (admitted !== resource) replaced.push([name, admitted]);
    }
    return asked.with(replaced);
  }
}
