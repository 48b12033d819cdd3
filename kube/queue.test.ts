import fc from "fast-check";
import { expect, test } from "vitest";
import { silent } from "../lib/log.ts";
import { createQueue } from "./queue.ts";
import { createManualClock } from "./testing/manual-clock.ts";

function start(process: (key: string) => Promise<{ after: number } | undefined>, concurrency = 4) {
  const clock = createManualClock();
  return {
    clock,
    queue: createQueue({ process, logger: silent, clock, concurrency, retry: 100, maxRetry: 1_000 }),
  };
}

test("many adds become one piece of work; an add during it makes one more", async () => {
  const calls: string[] = [];
  const gate = Promise.withResolvers<void>();
  const { queue, clock } = start(async (key) => {
    calls.push(key);
    if (calls.length === 1) await gate.promise;
    return undefined;
  });
  for (let index = 0; index < 10; index++) queue.add("a");
  await clock.advance(0);
  expect(calls).toEqual(["a"]);
  for (let index = 0; index < 10; index++) queue.add("a");
  await clock.advance(0);
  expect(calls).toEqual(["a"]);
  gate.resolve();
  await clock.advance(0);
  expect(calls).toEqual(["a", "a"]);
});

test("the earlier of two delays counts, and an add does not wait for it", async () => {
  const calls: number[] = [];
  const { queue, clock } = start(async () => {
    calls.push(clock.monotonic());
    return undefined;
  });
  const zero = clock.monotonic();
  queue.addAfter("a", 500);
  queue.addAfter("a", 300);
  queue.addAfter("a", 400);
  queue.add("a");
  await clock.advance(1_000);
  expect(calls.map((at) => at - zero)).toEqual([0, 300]);
});

test("what comes within a time is dropped where the key is worked on before", async () => {
  const calls: number[] = [];
  const { queue, clock } = start(async () => {
    calls.push(clock.monotonic());
    return undefined;
  });
  const zero = clock.monotonic();
  queue.addWithin("a", 50);
  queue.addWithin("a", 50);
  await clock.advance(20);
  queue.add("a");
  await clock.advance(100);
  expect(calls.map((at) => at - zero)).toEqual([20]);
  queue.addWithin("a", 50);
  await clock.advance(1_000);
  expect(calls.map((at) => at - zero)).toEqual([20, 170]);
});

test("a failed key comes again, later each time, until it succeeds", async () => {
  const calls: number[] = [];
  const { queue, clock } = start(async () => {
    calls.push(clock.monotonic());
    if (calls.length < 6) throw new Error("not yet");
    return undefined;
  });
  queue.add("a");
  await clock.advance(10_000);
  expect(calls).toHaveLength(6);
  const gaps = calls.slice(1).map((at, index) => at - (calls[index] ?? 0));
  expect(
    gaps.every(
      (gap, index) => gap >= Math.min(50 * 2 ** index, 500) && gap <= Math.min(100 * 2 ** index, 1_000),
    ),
  ).toBe(true);
});

test("work may ask to come again", async () => {
  let calls = 0;
  const { queue, clock } = start(async () => (++calls < 4 ? { after: 1_000 } : undefined));
  queue.add("a");
  await clock.advance(10_000);
  expect(calls).toBe(4);
});

test("closing waits for what is going on and starts nothing more", async () => {
  let done = 0;
  const gate = Promise.withResolvers<void>();
  const { queue, clock } = start(async () => {
    await gate.promise;
    done++;
    return undefined;
  }, 1);
  queue.add("a");
  queue.add("b");
  queue.addAfter("c", 10);
  await clock.advance(0);
  const closed = queue.close();
  gate.resolve();
  await closed;
  await clock.advance(1_000);
  expect(done).toBe(1);
});

test("no key is lost, none runs twice at once, never more than the limit", async () => {
  const keys = fc.constantFrom("a", "b", "c", "d");
  const command = fc.record({ key: keys, delay: fc.nat(300), wait: fc.nat(100), fails: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 40 }), async (commands) => {
      const running = new Set<string>();
      const due = new Map<string, number>();
      const failing = new Set<string>();
      const { queue, clock } = start(async (key) => {
        expect(running.has(key)).toBe(false);
        running.add(key);
        expect(running.size).toBeLessThanOrEqual(2);
        const seen = due.get(key);
        await new Promise((resolve) => setImmediate(resolve));
        running.delete(key);
        if (failing.delete(key)) throw new Error("fails once");
        if (due.get(key) === seen && (seen ?? 0) <= clock.monotonic()) due.delete(key);
        return undefined;
      }, 2);
      for (const { key, delay, wait, fails } of commands) {
        due.set(key, Math.max(due.get(key) ?? 0, clock.monotonic()));
        if (fails) failing.add(key);
        if (delay < 100) queue.add(key);
        else queue.addAfter(key, delay);
        await clock.advance(wait);
      }
      await clock.advance(20_000);
      expect([...due.keys()]).toEqual([]);
      await queue.close();
    }),
    { numRuns: 50 },
  );
});
