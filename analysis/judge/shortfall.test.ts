import { expect, test } from "vitest";
import { binomial } from "../simulate/counts.ts";
import { createRandom } from "../simulate/random.ts";
import { addAttempts, isShort, noAttempts, shortfall } from "./shortfall.ts";

test("a canary that gets nothing is short as soon as 20 attempts are missing, and not before", () => {
  expect(isShort({ canary: 0, primary: 199 }, 10)).toBe(false);
  expect(isShort({ canary: 0, primary: 200 }, 10)).toBe(true);
  expect(shortfall({ canary: 0, primary: 200 }, 10)).toBe(
    "no attempt reached the canary where its weight of 10 % asks for about 20",
  );
  // Where all is sent to the canary nobody can tell its absence from that of users.
  expect(isShort({ canary: 0, primary: 0 }, 100)).toBe(false);
  expect(shortfall({ canary: 0, primary: 1000 }, 0)).toBeUndefined();
});

test.each([1, 5, 20, 50, 90])("a canary that gets its share of %i % is never called short", (weight) => {
  const random = createRandom(11, `share ${weight}`);
  let attempts = noAttempts;
  for (let poll = 0; poll < 20_000; poll++) {
    const all = 1 + Math.floor(random.uniform() * 400);
    const canary = binomial(random, all, weight / 100);
    attempts = addAttempts(attempts, { canary, primary: all - canary }, weight);
    expect(shortfall(attempts, weight)).toBeUndefined();
  }
});

test.each([1, 5, 20, 50, 90])(
  "one that loses its attempts at %i %, after long health, is found",
  (weight) => {
    const random = createRandom(12, `loss ${weight}`);
    let attempts = noAttempts;
    const poll = (share: number): void => {
      const canary = binomial(random, 100, share);
      attempts = addAttempts(attempts, { canary, primary: 100 - canary }, weight);
    };
    for (let healthy = 0; healthy < 500; healthy++) poll(weight / 100);
    let missing = 0;
    while (shortfall(attempts, weight) === undefined && missing < 1000) {
      missing++;
      poll(0);
    }
    // What was counted before and about 20 missing ones, in polls of 100.
    expect(missing).toBeLessThanOrEqual(Math.ceil(80 / weight) + 3);
  },
);
