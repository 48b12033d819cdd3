import type { Resource, ResourceType } from "./resource.ts";

/** A resource that a proxy refused, and why. */
export interface Withdrawal {
  readonly resource: Resource;
  /** Envoy's own words. */
  readonly error: string;
}

/**
 * Remembers what a proxy refused: it is taken back for all, and the last good one of that name stays.
 *
 * A withdrawal ends when the content changes: versions are hashes of it.
 */
export function createWithdrawals() {
  const refused = new Map<string, Withdrawal>();
  const lastGood = new Map<string, Resource>();
  const keyOf = (type: ResourceType, name: string) => `${type} ${name}`;

  return {
    /** A proxy took these. */
    accepted(resources: readonly Resource[]): void {
      for (const resource of resources) lastGood.set(keyOf(resource.type, resource.name), resource);
    },
    /** @returns whether anything changed by it */
    refuse(resource: Resource, error: string): boolean {
      const key = keyOf(resource.type, resource.name);
      if (refused.get(key)?.resource.version === resource.version) return false;
      refused.set(key, { resource, error });
      return true;
    },
    /** What to serve in place of `resource`: itself, the last good one, or nothing. */
    admit(resource: Resource): Resource | undefined {
      const key = keyOf(resource.type, resource.name);
      const withdrawal = refused.get(key);
      if (withdrawal === undefined) return resource;
      if (withdrawal.resource.version === resource.version) return lastGood.get(key);
      return resource;
    },
    /** Forgets the refusal of what is served no more, and the last good ones that nobody asks for. */
    retain(current: (type: ResourceType, name: string) => string | undefined): void {
      for (const [key, { resource }] of refused) {
        if (current(resource.type, resource.name) !== resource.version) refused.delete(key);
      }
    },
    list: (): readonly Withdrawal[] => [...refused.values()],
  };
}

export type Withdrawals = ReturnType<typeof createWithdrawals>;
