import type { ReconcileOptions } from "./context.ts";
import type { Ask } from "./decide/effects.ts";
import { askName, type Entry } from "./entry.ts";
import { measure } from "./measure.ts";
import type { Subject } from "./subject.ts";

/**
 * The advance clock of one canary: asks at its time, and puts the answers where the next decision finds them.
 *
 * One ask at a time; the same one is not begun twice, another ends it.
 */
export function followAsk(
  entry: Entry,
  { canary, uid }: Subject,
  ask: Ask | undefined,
  options: Pick<ReconcileOptions, "hooks" | "clock" | "enqueue" | "logger" | "metrics">,
): void {
  if (ask === undefined) return;
  const name = askName(ask);
  if (entry.asked?.about === name) return;
  entry.asked?.stop();
  const { clock, hooks, enqueue, logger, metrics } = options;
  const stop = new AbortController();
  const delay = Math.min(Math.max(ask.notBefore - clock.now(), 0), canary.analysis.interval);
  const cancel = clock.after(delay, () => {
    const started = clock.monotonic();
    const ref = { namespace: canary.namespace, name: canary.name, uid };
    measure(ask, { hooks, clock, canary: ref, analysis: entry.analysis, signal: stop.signal })
      .then((measurement) => {
        if (stop.signal.aborted) return;
        metrics.ticked(canary, clock.monotonic() - started);
        entry.measurement = measurement;
        delete entry.asked;
        enqueue(entry.key);
      })
      .catch((error: unknown) => {
        delete entry.asked;
        enqueue(entry.key);
        logger.error({ err: error, canary: entry.key }, "a tick could not be measured");
      });
  });
  entry.asked = {
    about: name,
    stop: () => {
      cancel();
      stop.abort();
    },
  };
}
