import type { Resource } from "./resource.ts";

/** A resource that a proxy refused, and why. */
export interface Withdrawal {
  readonly resource: Resource;
  /** Envoy's own words. */
  readonly error: string;
  /** What is served in its place: the last one of that name that a proxy took. */
  readonly fallback: Resource | undefined;
}

/**
 * Remembers what proxies took and what they refused: a refused resource is taken back for all, and the last good one of
 * that name stays. The refusal ends when the content is asked for no more, which its version tells.
 */
export function createWithdrawals() {
  const refused = new Map<string, Withdrawal & { served: boolean }>();
  const good = new WeakSet<Resource>();
  const keyOf = ({ type, name, version }: Resource) => `${type} ${name} ${version}`;

  return {
    /** A proxy took these. */
    accept(resources: readonly Resource[]): void {
      for (const resource of resources) good.add(resource);
    },
    isGood: (resource: Resource): boolean => good.has(resource),
    /** @returns whether it was not known as refused */
    refuse(resource: Resource, error: string): boolean {
      if (refused.has(keyOf(resource))) return false;
      refused.set(keyOf(resource), { resource, error, fallback: undefined, served: true });
      return true;
    },
    /** What to serve: the resource itself, or in place of a refused one `fallback`. */
    admit(resource: Resource, fallback: Resource | undefined): Resource | undefined {
      const withdrawal = refused.size === 0 ? undefined : refused.get(keyOf(resource));
      if (withdrawal === undefined) return resource;
      refused.set(keyOf(resource), {
        ...withdrawal,
        fallback: fallback ?? withdrawal.fallback,
        served: true,
      });
      return fallback;
    },
    /** Forgets refusals of what was not asked for since the call before. */
    sweep(): void {
      for (const [key, withdrawal] of refused) {
        if (!withdrawal.served) refused.delete(key);
        withdrawal.served = false;
      }
    },
    isEmpty: (): boolean => refused.size === 0,
    /** What is replaced now. */
    list: (): readonly Withdrawal[] => [...refused.values()].filter(({ served }) => served),
  };
}

export type Withdrawals = ReturnType<typeof createWithdrawals>;
