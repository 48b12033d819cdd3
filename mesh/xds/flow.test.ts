import { expect, test } from "vitest";
import { createFlow } from "./flow.ts";

function start(limit: number) {
  let timers: (() => void)[] = [];
  let quiets = 0;
  const clock = {
    now: () => 0,
    monotonic: () => 0,
    after(_milliseconds: number, run: () => void) {
      timers.push(run);
      return () => {
        timers = timers.filter((other) => other !== run);
      };
    },
  };
  const flow = createFlow({ clock, limit, onQuiet: () => quiets++ });
  /** All that is waited for comes to its time. */
  const pass = () => {
    for (const run of timers.splice(0)) run();
  };
  return { flow, pass, quiets: () => quiets };
}

test("is full at its limit, and opens in the order of asking as bytes get out", () => {
  const { flow } = start(100);
  const out = flow.take(60);
  flow.take(40);
  expect(flow.isFull).toBe(true);
  const went: string[] = [];
  flow.whenOpen(() => {
    went.push("first");
    flow.take(60);
  });
  flow.whenOpen(() => went.push("second"));
  out();
  out();
  expect(went).toEqual(["first"]);
  expect(flow.isFull).toBe(true);
});

test("who waits no more is not called", () => {
  const { flow } = start(100);
  const out = flow.take(100);
  const cancel = flow.whenOpen(() => expect.unreachable());
  cancel();
  out();
  expect(flow.isFull).toBe(false);
});

test("a client that takes nothing holds up the others for a while only", () => {
  const { flow, pass } = start(100);
  flow.take(100);
  let went = false;
  flow.whenOpen(() => {
    went = true;
  });
  pass();
  expect(went).toBe(true);
});

test("after a crowd, and only then, quiet is told", () => {
  const { flow, pass, quiets } = start(100);
  flow.take(60)();
  pass();
  expect(quiets()).toBe(0);
  flow.take(60)();
  const late = flow.take(10);
  pass();
  expect(quiets()).toBe(0);
  late();
  pass();
  expect(quiets()).toBe(1);
  pass();
  expect(quiets()).toBe(1);
});
