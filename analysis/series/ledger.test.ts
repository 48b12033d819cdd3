import fc from "fast-check";
import { expect, test } from "vitest";
import type { Window } from "../../api/signals.ts";
import { createLedger } from "./ledger.ts";

/** We began to watch at 10,000. */
const since = 10_000;

function window(
  at: number,
  requests: number,
  failed = 0,
  part: Partial<Window> & { start?: number; proxy?: string } = {},
): Window {
  const { start = 5000, proxy = "p", ...rest } = part;
  return {
    kind: "window",
    source: { replica: "r", proxy, start },
    seq: at,
    at,
    arm: "canary",
    side: "client",
    half: 0,
    requests,
    failed,
    buckets: [requests, 0],
    connections: 1,
    ...rest,
  };
}

function grown(
  windows: readonly Window[],
  ledger = createLedger(since),
): { requests: number; failed: number } {
  const all = windows.map((one) => ledger.take(one));
  return {
    requests: all.reduce((sum, one) => sum + (one?.requests ?? 0), 0),
    failed: all.reduce((sum, one) => sum + (one?.failed ?? 0), 0),
  };
}

test("a proxy that counted before us begins with a base: its past is not this run's", () => {
  expect(grown([window(10_500, 900, 800), window(11_500, 950, 810)])).toEqual({ requests: 50, failed: 10 });
});

test("a proxy that started later counts from 0, and so does a series that a known proxy begins", () => {
  expect(grown([window(12_500, 50, 1, { start: 12_000 })])).toEqual({ requests: 50, failed: 1 });
  const joined = [window(10_500, 900, 0, { arm: "primary" }), window(11_500, 20, 2)];
  expect(grown(joined)).toEqual({ requests: 20, failed: 2 });
});

test("a proxy whose start is not known begins with a base, whatever its counters", () => {
  expect(grown([window(12_500, 90_000, 80_000, { start: 12_500 })])).toEqual({ requests: 0, failed: 0 });
});

test("a restarted proxy and a counter that fell count from 0; two proxies add up", () => {
  const one = [window(10_500, 100), window(11_500, 150), window(12_500, 30)];
  expect(grown(one).requests).toBe(80);
  const other = [window(10_500, 10, 0, { proxy: "q" }), window(11_500, 12, 0, { proxy: "q" })];
  expect(grown([...one, ...other]).requests).toBe(82);
});

test("a lost window is made good by the next", () => {
  expect(grown([window(10_500, 100, 1), window(14_500, 400, 9)])).toEqual({ requests: 300, failed: 8 });
});

test("repeated, late and reordered windows change nothing", () => {
  const windows = Array.from({ length: 20 }, (_, n) => window(10_500 + n * 1000, 100 + n * 10, n));
  const disturbed = fc.array(fc.tuple(fc.nat(19), fc.nat(19)), { maxLength: 30 });
  fc.assert(
    fc.property(disturbed, (repeats) => {
      const sent = windows.flatMap((one, index) => [
        one,
        ...repeats
          .filter(([after]) => after === index)
          .map(([, which]) => windows[Math.min(which, index)] ?? one),
      ]);
      expect(grown(sent)).toEqual(grown(windows));
    }),
  );
});

test("windows that hold no counts are left out", () => {
  const odd = [Number.NaN, Number.POSITIVE_INFINITY, -5];
  expect(
    grown([window(10_500, 100), ...odd.map((count) => window(11_000, count)), window(12_500, 130)]).requests,
  ).toBe(30);
});

test("after a restart, what came in the gap counts, and its latencies are not known", () => {
  const before = createLedger(since);
  before.take(window(10_500, 100, 1));
  before.take(window(11_500, 150, 2));
  const stored = JSON.parse(JSON.stringify(before.stored(12))) as ReturnType<typeof before.stored>;
  expect(Object.values(stored)).toEqual([[150, 2]]);
  const growth = createLedger(20_000, stored).take(window(20_500, 500, 40));
  expect(growth).toMatchObject({ requests: 350, failed: 38, buckets: undefined });
  // The mesh was restarted too: it does not know since when the proxy counts, and has another name.
  const heardAnew = { ...window(20_500, 500, 40), source: { replica: "other", proxy: "p", start: 20_500 } };
  expect(createLedger(20_000, stored).take(heardAnew)).toMatchObject({ requests: 350, failed: 38 });
});

test("its memory is bounded, and the newest series are what is stored", () => {
  const ledger = createLedger(since);
  for (let proxy = 0; proxy < 25_000; proxy++)
    ledger.take(window(10_500 + proxy, 5, 0, { proxy: `p${proxy}` }));
  expect(Object.keys(ledger.stored(100_000)).length).toBeLessThanOrEqual(20_001);
  expect(Object.keys(ledger.stored(12))).toHaveLength(12);
});

const heardBy = (replica: string, one: Window, skew = 0): Window => ({
  ...one,
  source: { ...one.source, replica, start: one.source.start + skew },
});

test("a proxy that reports to another replica goes on where it was; latencies of the move are not known", () => {
  const ledger = createLedger(since);
  ledger.take(window(10_500, 900, 3));
  expect(ledger.take(window(11_500, 950, 4))).toMatchObject({ requests: 50, failed: 1 });
  // Its histogram is summed anew there.
  const moved = heardBy("other", window(13_500, 1010, 6, { buckets: [20, 0] }), 12);
  expect(ledger.take(moved)).toMatchObject({ requests: 60, failed: 2, buckets: undefined });
  const next = heardBy("other", window(14_500, 1030, 6, { buckets: [40, 0] }), 12);
  expect(ledger.take(next)).toMatchObject({ requests: 20, failed: 0, buckets: [20, 0] });
  // A series that it begins there is no past that was missed.
  expect(ledger.take(heardBy("other", window(15_500, 7, 7, { arm: "primary" }), 12))).toMatchObject({
    requests: 7,
    failed: 7,
  });
});

test("whichever replicas hear a proxy, and however often it moves, its requests count once", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2), { minLength: 20, maxLength: 20 }), (replicas) => {
      const windows = replicas.map((replica, second) =>
        heardBy(`r${replica}`, window(10_500 + second * 1000, 100 + second * 10, second), replica * 7),
      );
      expect(grown(windows)).toEqual({ requests: 190, failed: 19 });
    }),
  );
});

test("the last words of a process that was restarted elsewhere change nothing", () => {
  const ledger = createLedger(since);
  ledger.take(window(10_500, 900));
  const restarted = heardBy("other", window(21_000, 5, 0, { start: 20_500 }));
  expect(ledger.take(restarted)).toMatchObject({ requests: 5 });
  expect(ledger.take(window(21_500, 901))).toBeUndefined();
  expect(ledger.take(heardBy("other", window(22_000, 8, 0, { start: 20_500 })))).toMatchObject({
    requests: 3,
  });
});

test("users whom a shield rescued are counted like requests, also where nothing else grew", () => {
  const ledger = createLedger(since);
  const rescues = (windows: readonly Window[]) => windows.map((one) => ledger.take(one)?.rescues);
  expect(
    rescues([
      window(10_500, 900, 800, { rescued: 790, notRescued: 10 }),
      window(11_500, 905, 804, { rescued: 793, notRescued: 10 }),
      window(12_500, 905, 804, { rescued: 794, notRescued: 11 }),
      window(13_500, 905, 804, { rescued: 794, notRescued: 11 }),
    ]),
  ).toEqual([undefined, { rescued: 3, notRescued: 0 }, { rescued: 1, notRescued: 1 }, undefined]);
  // Another process counts from 0; after a restart of ours what was counted before is not known.
  expect(rescues([window(20_500, 4, 4, { start: 20_000, rescued: 4 })])).toEqual([
    { rescued: 4, notRescued: 0 },
  ]);
  const again = createLedger(since, ledger.stored(4));
  expect(again.take(window(21_500, 6, 6, { start: 20_000, rescued: 6 }))).toMatchObject({ requests: 2 });
  expect(again.take(window(22_500, 7, 7, { start: 20_000, rescued: 7 }))?.rescues).toEqual({
    rescued: 1,
    notRescued: 0,
  });
});
