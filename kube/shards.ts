import { LeaseKind, type Lease as LeaseObject } from "../api/core.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Client } from "./contract.ts";
import { type Lease, type LeaseOptions, startLease } from "./lease.ts";

/** Which of the keys this process may act on. */
export interface Shards {
  held(key: string): boolean;
  /** Goes into each write for this key. */
  epoch(key: string): number;
  /** Gives all up at once. */
  release(): Promise<void>;
}

export interface ShardsOptions extends Omit<LeaseOptions, "name" | "onChange"> {
  /** Leases are `<name>-<n>`, and `<name>-slot-<n>` where there is more than one. */
  readonly name: string;
  /** Into how many parts the keys are divided: as many as there are replicas. */
  readonly shards: number;
  /** After each change of what is held. */
  readonly onChange?: () => void;
}

/** How often the slots of the others are looked at, and after which silence one counts as free; milliseconds. */
const lookEvery = 1000;
const silence = 3000;

/** The shard of a key: the same in every replica. FNV-1a, 32 bits. */
export function shardOf(key: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++)
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193) >>> 0;
  return hash % shards;
}

/**
 * Divides keys among replicas by Leases: each replica holds one slot, and the shard of its slot is its own. A shard whose
 * slot nobody holds is taken over by another replica, and given back when somebody holds the slot again.
 *
 * The Lease of a shard alone decides who may act; slots only say who should.
 */
export function startShards(client: Client, options: ShardsOptions): Shards {
  const { shards, name, onChange, clock = systemClock } = options;
  let shouldHold: (shard: number) => boolean = () => shards === 1;
  const slots =
    shards === 1
      ? undefined
      : followSlots(client, options, clock, (wants) => {
          shouldHold = wants;
        });
  // Every replica measures the age of every lease, so that one that is to be taken over is taken at once.
  const leases = Array.from({ length: shards }, (_, shard) =>
    startLease(client, {
      ...options,
      name: `${name}-${shard}`,
      wanted: () => shouldHold(shard),
      onChange: () => onChange?.(),
    }),
  );
  const of = (key: string): Lease | undefined => leases[shardOf(key, shards)];
  return {
    held: (key) => of(key)?.held() ?? false,
    epoch: (key) => of(key)?.epoch() ?? 0,
    async release() {
      await slots?.release();
      await Promise.all(leases.map((lease) => lease.release()));
    },
  };
}

/** Holds one slot, and tells each second which shards this replica should have. */
function followSlots(
  client: Client,
  options: ShardsOptions,
  clock: Clock,
  tell: (wants: (shard: number) => boolean) => void,
): { release(): Promise<void> } {
  const { shards, name, namespace, holder, logger } = options;
  const slots = new Map<number, Lease>();
  const seen = new Map<number, { readonly version: string | undefined; readonly at: number }>();
  let stopped = false;
  let cancel = (): void => {};

  const own = (): number | undefined => [...slots].find(([, lease]) => lease.held())?.[0];

  /** Candidates for every slot until one is won; then for that one alone. */
  function compete(): void {
    const won = own();
    for (let slot = 0; slot < shards; slot++) {
      const lease = slots.get(slot);
      if (won === undefined && lease === undefined)
        slots.set(slot, startLease(client, { ...options, name: `${name}-slot-${slot}` }));
      if (won !== undefined && slot !== won && lease !== undefined) {
        slots.delete(slot);
        void lease.release();
      }
    }
  }

  function isHeldByOther(slot: number, lease: LeaseObject | undefined): boolean {
    const version = lease?.metadata.resourceVersion;
    const known = seen.get(slot);
    if (known?.version !== version || known === undefined) seen.set(slot, { version, at: clock.monotonic() });
    const owner = lease?.spec?.holderIdentity ?? "";
    if (owner === "" || owner === holder) return false;
    return clock.monotonic() - (seen.get(slot)?.at ?? 0) < silence;
  }

  async function look(): Promise<void> {
    compete();
    try {
      const found = await Promise.all(
        Array.from({ length: shards }, (_, slot) => client.get(LeaseKind, namespace, `${name}-slot-${slot}`)),
      );
      const others = found.map((lease, slot) => isHeldByOther(slot, lease));
      const won = own();
      // Without a slot of its own a replica waits: those that have one take what is free.
      if (!stopped) tell((shard) => won !== undefined && (shard === won || others[shard] !== true));
    } catch (error) {
      logger.debug({ err: error }, "the slots cannot be read, what is held stays");
    }
    if (!stopped) cancel = clock.after(lookEvery, () => void look());
  }

  void look();
  return {
    async release() {
      stopped = true;
      cancel();
      await Promise.all([...slots.values()].map((lease) => lease.release()));
    },
  };
}
