import { expect, test } from "vitest";
import { createArms } from "./arms.ts";
import type { Growth } from "./ledger.ts";
import { createRecent } from "./recent.ts";

const growth = (part: Partial<Growth>): Growth => ({
  arm: "canary",
  side: "client",
  half: 0,
  at: 0,
  requests: 10,
  failed: 1,
  buckets: [10, 0],
  ...part,
});

test("callers are believed before destinations: a refused connection never reaches one", () => {
  const arms = createArms(1);
  arms.add(growth({ requests: 10, failed: 10 }));
  arms.add(growth({ arm: "primary", requests: 90, failed: 0 }));
  arms.add(growth({ arm: "primary", side: "destination", requests: 90, failed: 0 }));
  expect(arms.poll()).toMatchObject({
    canary: { requests: 10, failed: 10 },
    primary: { requests: 90, failed: 0 },
    latencyKnown: true,
  });
});

test("destinations are believed where most callers have no sidecar", () => {
  const arms = createArms(1);
  arms.add(growth({ arm: "primary", requests: 5 }));
  arms.add(growth({ side: "destination", requests: 50, failed: 7 }));
  arms.add(growth({ arm: "primary", side: "destination", requests: 450, failed: 2 }));
  expect(arms.poll()).toMatchObject({
    canary: { requests: 50, failed: 7 },
    primary: { requests: 450, failed: 2 },
  });
});

test("a change of side never counts a request twice: counters only grow by what the chosen side saw", () => {
  const arms = createArms(1);
  arms.add(growth({ side: "destination", requests: 100, failed: 0 }));
  expect(arms.poll().canary.requests).toBe(100);
  arms.add(growth({ requests: 200, failed: 0 }));
  arms.add(growth({ side: "destination", requests: 200, failed: 0 }));
  expect(arms.poll().canary.requests).toBe(300);
});

test("the primary's halves come from its destinations, and only when both have served", () => {
  const arms = createArms(1);
  arms.add(growth({ arm: "primary", side: "destination", half: 0, requests: 40 }));
  expect(arms.poll().halves).toBeUndefined();
  arms.add(growth({ arm: "primary", side: "destination", half: 1, requests: 60 }));
  expect(arms.poll().halves?.map(({ requests }) => requests)).toEqual([40, 60]);
});

test("a gap and a growth without latencies make one poll's latencies unknown", () => {
  const arms = createArms(1);
  arms.add(growth({ buckets: undefined }));
  expect(arms.poll().latencyKnown).toBe(false);
  arms.gap();
  expect(arms.poll().latencyKnown).toBe(false);
  expect(arms.poll().latencyKnown).toBe(true);
});

test("a look back sums the interval that ends now, of that arm and side alone", () => {
  const recent = createRecent(60_000, 1);
  for (let second = 0; second < 120; second++) {
    recent.add(growth({ at: second * 1000 + 500, requests: 10, failed: second < 60 ? 10 : 0 }));
  }
  recent.add(growth({ at: 119_500, arm: "primary" }));
  expect(recent.span("client", 60_000, 120_000)).toEqual({
    requests: 600,
    failed: 0,
    buckets: [600, 0],
    latencyKnown: true,
  });
  expect(recent.span("destination", 60_000, 120_000).requests).toBe(0);
  expect(recent.span("client", 60_000, 400_000).requests).toBe(0);
});

test("a gap in the interval makes its latencies unknown, one before it does not", () => {
  const recent = createRecent(60_000, 1);
  recent.gap(100_000, 102_000);
  expect(recent.span("client", 60_000, 130_000).latencyKnown).toBe(false);
  expect(recent.span("client", 20_000, 130_000).latencyKnown).toBe(true);
});

test("an hour's interval is kept in as many slots as a minute's", () => {
  const recent = createRecent(3_600_000, 1);
  for (let second = 0; second < 7200; second++) recent.add(growth({ at: second * 1000, requests: 1 }));
  expect(recent.span("client", 3_600_000, 7_200_000).requests).toBe(3600);
});
