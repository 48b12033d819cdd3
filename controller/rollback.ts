import type { RollbackMark } from "../api/annotations.ts";
import type { Cut, Signals } from "../api/signals.ts";
import type { Client } from "../kube/contract.ts";
import { isNotFound } from "../kube/error.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Writer } from "./carry-out.ts";
import type { Overlay } from "./overlay.ts";
import { hostsOf, type Subject } from "./subject.ts";

export interface RollbackOptions {
  readonly client: Client;
  readonly writer: Writer;
  readonly overlay: Overlay;
  readonly signals: Pick<Signals, "cut" | "release">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds that the stored weight 0 took. */
  readonly onDone: (subject: Subject, latency: number) => void;
}

export interface Rollbacks {
  /**
   * Writes weight 0 and the mark, again and again until it is stored. Joins one that is under way.
   *
   * Where the API server does not answer at once, the mesh's replicas are told to hold the canary at 0 meanwhile.
   * Never rejects before `close`.
   */
  rollBack(subject: Subject, mark: RollbackMark): Promise<void>;
  close(): void;
}

/** A stored weight 0 takes some milliseconds; a server that has not answered by then may never. */
const patience = 250;
const cutEvery = 1000;
/** A refused write is repeated at once, but not in a loop that does nothing else. */
const refusedPause = 20;

/** Makes the way back: no lease, no queue, no other canary stands before it. */
export function createRollbacks(options: RollbackOptions): Rollbacks {
  const { writer, signals, clock, logger, onDone } = options;
  const underWay = new Map<string, Promise<void>>();
  const stop = new AbortController();

  async function run(subject: Subject, mark: RollbackMark): Promise<void> {
    const started = clock.monotonic();
    const cut = cutOf(subject, mark, clock.now());
    let cutting = false;
    let done = false;
    const keepCut = (): void => {
      if (done || stop.signal.aborted) return;
      cutting = true;
      signals
        .cut(cut)
        .catch((error: unknown) => logger.warn({ err: error, id: cut.id }, "cannot cut the canary off"));
      clock.after(cutEvery, keepCut);
    };
    const cancelCut = clock.after(patience, keepCut);
    try {
      await untilStored(subject, mark, () => {
        cancelCut();
        if (!cutting) keepCut();
      });
    } finally {
      done = true;
      cancelCut();
    }
    onDone(subject, clock.monotonic() - started);
    if (cutting) {
      await signals
        .release(cut.id)
        .catch((error: unknown) =>
          logger.warn({ err: error, id: cut.id }, "cannot release the cut, its route does"),
        );
    }
  }

  /** `failed` is called at each write that did not succeed because nobody answered. */
  async function untilStored(subject: Subject, mark: RollbackMark, failed: () => void): Promise<void> {
    for (;;) {
      if (stop.signal.aborted) return;
      const write = subject.router.rollBack(subject.canary, mark, subject.snapshot);
      // Without a route nothing leads to the canary.
      if (write === undefined) return;
      const answered = await Promise.race([
        writer.write(write).then(
          () => "stored" as const,
          (error: unknown) => error,
        ),
        pause(clock, cutEvery * 2).then(() => "silent" as const),
      ]);
      if (answered === "stored" || isNotFound(answered)) return;
      if (answered === "silent" || isUnanswered(answered)) {
        failed();
        await pause(clock, patience);
      } else {
        await refresh(subject, options);
        await pause(clock, refusedPause);
      }
    }
  }

  return {
    rollBack(subject, mark) {
      const key = `${mark.id} ${subject.router.route(subject.canary).kind}`;
      const known = underWay.get(key);
      if (known !== undefined) return known;
      const job = run(subject, mark).finally(() => underWay.delete(key));
      underWay.set(key, job);
      return job;
    },
    close: () => stop.abort(),
  };
}

/** The route changed under the write: its newest version is read past the watch. */
async function refresh(
  { canary, router }: Subject,
  { client, overlay, logger }: RollbackOptions,
): Promise<void> {
  const { kind, namespace, name } = router.route(canary);
  const of = router.kinds.find((known) => known.kind === kind);
  if (of === undefined) return;
  try {
    const route = await client.get(of, namespace, name);
    if (route !== undefined) overlay.wrote(of, route);
  } catch (error) {
    logger.warn({ err: error, route: name }, "cannot read the route of a rollback");
  }
}

function isUnanswered(error: unknown): boolean {
  const status = typeof error === "object" && error !== null && "status" in error ? Number(error.status) : 0;
  return status === 0 || status === 429 || status >= 500;
}

function cutOf(subject: Subject, mark: RollbackMark, now: number): Cut {
  const { primaryHost, canaryHost } = hostsOf(subject);
  return {
    kind: "cut",
    id: mark.id,
    canaryUid: subject.uid,
    run: mark.run,
    revision: mark.revision,
    route: subject.router.route(subject.canary),
    canaryDestinations: [canaryHost],
    primaryDestination: primaryHost,
    reason: mark.reason,
    at: now,
  };
}

function pause(clock: Clock, delay: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delay, resolve);
  });
}
