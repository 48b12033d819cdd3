import { expect, test } from "vitest";
import { createSlots } from "./soak/crash/slots.ts";

test("no more run than there are places, lower ranks first, and a failed one leaves its place", async () => {
  const slots = createSlots(["a", "b"]);
  const order: string[] = [];
  let running = 0;
  let most = 0;
  const work = (name: string) => async (place: string) => {
    order.push(name);
    most = Math.max(most, ++running);
    await new Promise((resolve) => setImmediate(resolve));
    running--;
    if (name === "2nd") throw new Error("failed");
    return `${name} in ${place}`;
  };
  const all = await Promise.allSettled([
    slots.run(1, work("1st")),
    slots.run(1, work("2nd")),
    slots.run(1, work("3rd")),
    slots.run(0, work("first")),
    slots.run(1, work("4th")),
  ]);
  expect(order).toEqual(["1st", "2nd", "first", "3rd", "4th"]);
  expect(most).toBe(2);
  expect(all.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
    "fulfilled",
    "fulfilled",
  ]);
});

test("a place may be anything, also undefined", async () => {
  const slots = createSlots([undefined]);
  expect(await Promise.all([1, 2].map((number) => slots.run(0, () => Promise.resolve(number))))).toEqual([
    1, 2,
  ]);
});
