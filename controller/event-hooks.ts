import type { ReadCanary } from "../api/canary/types.ts";
import type { Hook, Hooks, RunId } from "../api/hooks.ts";
import type { Clock } from "../lib/clock.ts";
import { liveRun, type State } from "./decide/state.ts";
import { checksumOf } from "./revision.ts";

/** What is told to a Canary's event hooks. */
export interface ToldEvent {
  readonly type: "Normal" | "Warning";
  readonly message: string;
}

export interface EventHooks {
  /** Calls the Canary's hooks of type `event` in the background, in the order of the events. Never throws. */
  tell(canary: ReadCanary, uid: string, state: State, event: ToldEvent): void;
  close(): void;
}

export interface EventHooksOptions {
  readonly hooks: Pick<Hooks, "call">;
  readonly clock: Pick<Clock, "now">;
  /** Called for the events of Canaries that have no event hook of their own. */
  readonly eventWebhook: string | undefined;
}

/** Events that wait for one hook; beyond it the newest is dropped: a dead receiver must not fill the memory. */
const mostWaiting = 100;

interface Waiting {
  last: Promise<unknown>;
  count: number;
}

/** Flagger's event hooks; a receiver that does not answer delays its own events and nothing else. */
export function createEventHooks({ hooks, clock, eventWebhook }: EventHooksOptions): EventHooks {
  const queues = new Map<string, Waiting>();
  const stop = new AbortController();
  let number = 0;

  function enqueue(key: string, call: () => Promise<unknown>): void {
    const queue = queues.get(key) ?? { last: Promise.resolve(), count: 0 };
    if (queue.count >= mostWaiting) return;
    queues.set(key, queue);
    queue.count++;
    queue.last = callAfter(queue, call).finally(() => {
      queue.count--;
      if (queue.count === 0) queues.delete(key);
    });
  }

  async function callAfter({ last }: Waiting, call: () => Promise<unknown>): Promise<void> {
    await last;
    // `Hooks.call` never throws; whatever it answers, the event has been told.
    if (!stop.signal.aborted) await call();
  }

  return {
    tell(canary, uid, state, event) {
      const own = canary.analysis.webhooks.filter(({ type }) => type === "event");
      const called = own.length > 0 || eventWebhook === undefined ? own : [globalHook(eventWebhook)];
      if (called.length === 0) return;
      const { namespace, name } = canary;
      const live = liveRun(state)?.run;
      const revision = live?.revision ?? state.applied ?? "";
      const run: RunId = {
        canary: { namespace, name, uid },
        run: live?.id ?? "",
        revision,
        checksum: checksumOf(revision),
      };
      const at = clock.now();
      const id = `${uid}/${at}/${number++}`;
      for (const hook of called) {
        const metadata = { ...hook.metadata, ...eventMetadata(event, at) };
        enqueue(`${namespace}/${name} ${hook.name}`, () =>
          hooks.call({ ...hook, metadata }, state.phase, run, id, stop.signal),
        );
      }
    },
    close: () => stop.abort(),
  };
}

/** Flagger's fields; the user's own metadata cannot stand in for them. */
function eventMetadata({ type, message }: ToldEvent, at: number) {
  return { eventMessage: message, eventType: type, timestamp: String(at) };
}

function globalHook(url: string): Hook {
  return {
    name: "event-webhook",
    type: "event",
    url,
    timeout: 10_000,
    retries: 0,
    disableTLS: false,
    metadata: {},
  };
}
