import { expect, test } from "vitest";
import type { Clock } from "../../lib/clock.ts";
import { createLimiter, defaultLimits } from "./limits.ts";

function manualClock(): Clock & { advance(milliseconds: number): Promise<void> } {
  let now = 0;
  const timers: { at: number; run: () => void; cancelled: boolean }[] = [];
  return {
    now: () => now,
    monotonic: () => now,
    after(delay, run) {
      const timer = { at: now + delay, run, cancelled: false };
      timers.push(timer);
      return () => {
        timer.cancelled = true;
      };
    },
    async advance(milliseconds) {
      const end = now + milliseconds;
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (next === undefined) break;
        timers.splice(timers.indexOf(next), 1);
        now = next.at;
        if (!next.cancelled) next.run();
        await new Promise((resolve) => setImmediate(resolve));
      }
      now = end;
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

const fails = (result: string): boolean => result === "down";
const refused = (reason: string): string => `refused: ${reason}`;

test("so many at a time, and so many a second", async () => {
  const clock = manualClock();
  const limiter = createLimiter(clock, { ...defaultLimits, concurrency: 2, perSecond: 4 });
  let running = 0;
  let most = 0;
  let done = 0;
  const work = async (): Promise<string> => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    done += 1;
    return "ok";
  };
  const all = Array.from({ length: 12 }, () => limiter.run(work, fails, refused));
  await clock.advance(1);
  while (running > 0) await clock.advance(0);
  for (let turn = 0; turn < 20; turn++) await clock.advance(0);
  expect([most, done]).toEqual([2, 4]);
  await clock.advance(1000);
  for (let turn = 0; turn < 20; turn++) await clock.advance(0);
  expect(done).toBeLessThanOrEqual(9);
  for (let turn = 0; turn < 20; turn++) await clock.advance(200);
  expect(await Promise.all(all)).toEqual(Array.from({ length: 12 }, () => "ok"));
});

test("a provider that fails is left alone, longer each time, and taken up again when it answers", async () => {
  const clock = manualClock();
  const limiter = createLimiter(clock);
  let asked = 0;
  let answer = "down";
  const ask = () =>
    limiter.run(
      () => {
        asked += 1;
        return Promise.resolve(answer);
      },
      fails,
      refused,
    );
  for (let turn = 0; turn < 5; turn++) expect(await ask()).toBe("down");
  expect(await ask()).toBe("refused: it failed 5 times in a row and is asked again in 5 s");
  expect(asked).toBe(5);
  await clock.advance(5000);
  expect(await ask()).toBe("down");
  expect(await ask()).toBe("refused: it failed 5 times in a row and is asked again in 10 s");
  await clock.advance(10_000);
  answer = "fine";
  for (let turn = 0; turn < 3; turn++) expect(await ask()).toBe("fine");
});

test("what is called off while it waits is not asked; too many waiting are refused at once", async () => {
  const clock = manualClock();
  const limiter = createLimiter(clock, { ...defaultLimits, concurrency: 1, waiting: 2 });
  let end = (): void => undefined;
  const first = limiter.run(
    () => new Promise<string>((resolve) => (end = () => resolve("slow"))),
    fails,
    refused,
  );
  await clock.advance(0);
  const stop = new AbortController();
  const never = limiter.run(() => Promise.reject(new Error("asked")), fails, refused, stop.signal);
  const last = limiter.run(() => Promise.resolve("last"), fails, refused);
  expect(await limiter.run(() => Promise.resolve("x"), fails, refused)).toMatch(/^refused: 2 queries wait/);
  stop.abort();
  expect(await never).toBe("refused: the query was called off");
  end();
  expect([await first, await last]).toEqual(["slow", "last"]);
});
