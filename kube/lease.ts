import { LeaseKind, type Lease as LeaseObject } from "../api/core.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Client } from "./contract.ts";
import { isAlreadyExists, isConflict } from "./error.ts";

/** Milliseconds. */
interface LeaseTiming {
  /** After which without a change another may take it. */
  readonly duration: number;
  /** Between renewals, and between looks of those who wait. */
  readonly renew: number;
  /** After which without a successful renewal the holder says that it does not hold. Less than `duration`. */
  readonly hold: number;
}

const defaultLeaseTiming: LeaseTiming = { duration: 4_000, renew: 1_000, hold: 3_000 };

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Names this process, e.g. host name and a random part: a restarted process is another holder. */
  readonly holder: string;
  /** Whether another holder's process is certainly gone: its lease is then taken at once. Default: nobody is known to be. */
  readonly isGone?: (holder: string) => boolean;
  /** Whether this process should hold it now: it gives up a lease that it should not hold, and goes on looking. Default: yes. */
  readonly wanted?: () => boolean;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly timing?: LeaseTiming;
  /** After each change of `held`. */
  readonly onChange?: (held: boolean) => void;
}

/** Who may act: at most one process at a time holds a lease. */
export interface Lease {
  /** Ask right before each write: true only while the last successful renewal began less than 3 s ago. */
  held(): boolean;
  /** `leaseTransitions` of the time held: goes into each write, so that an older holder's can be told. */
  epoch(): number;
  /** Gives the lease up at once, so that another need not wait for its end; then stops. For SIGTERM. */
  release(): Promise<void>;
}

/**
 * Takes part in the election for a lease, until `release`.
 *
 * Another's lease counts as expired when this process has seen no change of it for `duration` by its own monotonic clock:
 * the times in the object, by other clocks, are for people. Each write replaces the version that was read, so of two that
 * try at once the server lets one through.
 */
export function startLease(client: Client, options: LeaseOptions): Lease {
  const {
    namespace,
    name,
    holder,
    logger,
    clock = systemClock,
    timing = defaultLeaseTiming,
    onChange,
    isGone = () => false,
    wanted = () => true,
  } = options;
  let renewedAt = Number.NEGATIVE_INFINITY;
  let epoch = 0;
  /** Of any holder: a deleted lease must not begin again at 1. */
  let highestEpoch = 0;
  /** The version that this process stored last: a holder renews without reading it again. */
  let mine: LeaseObject | undefined;
  let seen: { readonly version: string | undefined; readonly at: number } | undefined;
  let reported = false;
  /** What kept the last try from working; told once. */
  let trouble: string | undefined;
  let stopped = false;
  let cancelNext = () => {};
  let cancelLapse = () => {};

  const held = () => !stopped && wanted() && clock.monotonic() - renewedAt < timing.hold;

  /** One look, and the write that follows from it. Returns the milliseconds until the next. */
  async function take(): Promise<number> {
    const started = clock.monotonic();
    const current = held() && mine !== undefined ? mine : await client.get(LeaseKind, namespace, name);
    const version = current?.metadata.resourceVersion;
    if (seen === undefined || seen.version !== version) seen = { version, at: clock.monotonic() };
    highestEpoch = Math.max(highestEpoch, current?.spec?.leaseTransitions ?? 0);
    if (isOthers(current)) renewedAt = Number.NEGATIVE_INFINITY;
    if (!wanted()) {
      renewedAt = Number.NEGATIVE_INFINITY;
      mine = undefined;
      if (current?.spec?.holderIdentity === holder) await giveUp();
      return timing.renew;
    }
    if (!mayTake(current))
      return Math.min(timing.renew, Math.max(1, seen.at + timing.duration - clock.monotonic()));
    if (stopped) return timing.renew;
    const next = leaseOf(current);
    const stored =
      current === undefined ? await client.create(LeaseKind, next) : await client.replace(LeaseKind, next);
    mine = stored;
    // Counted from before the read: a slow answer must not lengthen what the others measure.
    renewedAt = Math.max(renewedAt, started);
    epoch = stored.spec?.leaseTransitions ?? 0;
    highestEpoch = Math.max(highestEpoch, epoch);
    seen = { version: stored.metadata.resourceVersion, at: clock.monotonic() };
    return Math.max(0, timing.renew - (clock.monotonic() - started));
  }

  function mayTake(current: LeaseObject | undefined): boolean {
    if (!isOthers(current) || isGone(current?.spec?.holderIdentity ?? "")) return true;
    return seen !== undefined && clock.monotonic() - seen.at >= timing.duration;
  }

  function isOthers(current: LeaseObject | undefined): boolean {
    const owner = current?.spec?.holderIdentity;
    return owner !== undefined && owner !== "" && owner !== holder;
  }

  function leaseOf(current: LeaseObject | undefined): LeaseObject {
    const now = microTime(clock.now());
    const mine = current?.spec?.holderIdentity === holder;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: current?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: holder,
        leaseDurationSeconds: Math.ceil(timing.duration / 1000),
        acquireTime: mine ? (current?.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: mine ? (current?.spec?.leaseTransitions ?? 0) : highestEpoch + 1,
      },
    };
  }

  /** Tries, and again in a second, also while a try hangs: an unanswered one must not end the renewals. */
  async function round(): Promise<void> {
    if (stopped) return;
    let answered = false;
    const next = (delay: number) => {
      if (answered) return;
      answered = true;
      cancelHang();
      report();
      if (!stopped) cancelNext = clock.after(delay, () => void round());
    };
    const cancelHang = clock.after(timing.renew * 2, () => next(0));
    next(await takeOrWait());
  }

  async function takeOrWait(): Promise<number> {
    try {
      const next = await take();
      if (trouble !== undefined) logger.info({ lease: name }, "the lease can be read and written again");
      trouble = undefined;
      return next;
    } catch (error) {
      mine = undefined;
      // Another was first: look again soon, with some chance between those who wait.
      if (!isConflict(error) && !isAlreadyExists(error)) tellTrouble(error);
      return timing.renew * (0.5 + Math.random() / 2);
    }
  }

  /** A full disk or a server that is away lasts: what is the same each second is said once. */
  function tellTrouble(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    if (message === trouble) return;
    trouble = message;
    logger.warn({ err: error, lease: name }, "cannot renew the lease, trying each second");
  }

  function report(): void {
    cancelLapse();
    const now = held();
    if (now) cancelLapse = clock.after(Math.max(1, renewedAt + timing.hold - clock.monotonic() + 1), report);
    if (now === reported) return;
    reported = now;
    try {
      onChange?.(now);
    } catch (error) {
      logger.error({ err: error, lease: name }, "a lease handler failed");
    }
  }

  async function release(): Promise<void> {
    const wasHeld = held();
    stopped = true;
    cancelNext();
    report();
    if (!wasHeld) return;
    try {
      await giveUp();
    } catch (error) {
      // A renewal that was under way came in between: its version is the one to replace.
      if (isConflict(error)) await giveUp().catch(reportKept);
      else reportKept(error);
    }
  }

  async function giveUp(): Promise<void> {
    const current = await client.get(LeaseKind, namespace, name);
    if (current?.spec?.holderIdentity !== holder) return;
    const spec = {
      ...current.spec,
      holderIdentity: "",
      leaseDurationSeconds: 1,
      renewTime: microTime(clock.now()),
    };
    await client.replace(LeaseKind, { ...current, spec });
  }

  function reportKept(error: unknown): void {
    logger.warn({ err: error, lease: name }, "cannot give the lease up: it ends by itself");
  }

  void round();
  return { held, epoch: () => epoch, release };
}

/** metav1.MicroTime. */
function microTime(epochMilliseconds: number): string {
  return new Date(epochMilliseconds).toISOString().replace("Z", "000Z");
}
