import { expect, test } from "vitest";
import { systemClock } from "../../lib/clock.ts";
import { batchQueries, canBeJoined } from "./batch.ts";
import type { RawAnswer } from "./prometheus-answer.ts";

const now = Date.now() / 1000;
const vector = (result: readonly unknown[]): RawAnswer => ({
  status: 200,
  body: { status: "success", data: { resultType: "vector", result } },
});
const sample = (index: number, value: string) => ({
  metric: { fairlead_query: String(index) },
  value: [now, value],
});

test("queries of one template that come together are one request, each with its own answer", async () => {
  const asked: string[] = [];
  const query = batchQueries((text) => {
    asked.push(text);
    return Promise.resolve(
      vector([
        sample(1, "7"),
        sample(0, "NaN"),
        sample(3, "1"),
        sample(3, "2"),
        { metric: {}, value: [now, "9"] },
      ]),
    );
  }, systemClock);
  const answers = await Promise.all(
    ["a", "b", "c", "d"].map((metric) => query(`sum(rate(${metric}[1m]))`, undefined, "demo/errors")),
  );
  expect(asked).toEqual([
    ["a", "b", "c", "d"]
      .map(
        (metric, index) => `label_replace((sum(rate(${metric}[1m]))), "fairlead_query", "${index}", "", "")`,
      )
      .join(" or "),
  ]);
  expect(answers).toEqual([
    { kind: "no-data", reason: "the value is NaN" },
    { kind: "value", value: 7 },
    { kind: "no-data", reason: "the result is empty" },
    { kind: "no-data", reason: "the query gives 2 series, not one" },
  ]);
});

test("other templates and queries without one are asked by themselves", async () => {
  const asked: string[] = [];
  const query = batchQueries((text) => {
    asked.push(text);
    return Promise.resolve(vector([{ metric: {}, value: [now, "1"] }]));
  }, systemClock);
  await Promise.all([query("a", undefined, "x"), query("b", undefined, "y"), query("c")]);
  expect(asked.toSorted()).toEqual(["a", "b", "c"]);
});

test("where the server refuses the whole, each is asked alone: one bad query harms no other", async () => {
  const query = batchQueries(
    (text) =>
      Promise.resolve(
        text.includes("bad")
          ? { status: 400, body: { status: "error", errorType: "bad_data", error: "no" } }
          : vector([{ metric: {}, value: [now, "5"] }]),
      ),
    systemClock,
  );
  const [good, bad] = await Promise.all([query("good", undefined, "t"), query("bad", undefined, "t")]);
  expect(good).toEqual({ kind: "value", value: 5 });
  expect(bad).toMatchObject({ kind: "error", refused: true });
});

test("a server that is down answers a batch once", async () => {
  let asked = 0;
  const query = batchQueries(() => {
    asked += 1;
    return Promise.resolve({ kind: "error" as const, reason: "ECONNREFUSED" });
  }, systemClock);
  const answers = await Promise.all([query("a", undefined, "t"), query("b", undefined, "t")]);
  expect(answers.map(({ kind }) => kind)).toEqual(["error", "error"]);
  expect(asked).toBe(1);
});

test("a long batch is cut, so that its url is taken everywhere", async () => {
  const lengths: number[] = [];
  const query = batchQueries((text) => {
    lengths.push(text.length);
    return Promise.resolve(vector([]));
  }, systemClock);
  const long = `sum(rate(x{a="${"y".repeat(900)}"}[1m]))`;
  await Promise.all(Array.from({ length: 30 }, () => query(long, undefined, "t")));
  expect(Math.max(...lengths)).toBeLessThan(8000);
  expect(lengths.length).toBeGreaterThan(3);
});

test.for([
  '1) or label_replace(vector(0), "fairlead_query", "1", "", "") or (x',
  'x), "a", "b", "", "") or vector(100',
  "x # the rest is a comment",
  "x{",
  "5",
  "",
  "x[1m] or",
])("what could speak for another query is never joined: %s", (query) => {
  expect(canBeJoined(query)).toBe(false);
});
