import { expect, test } from "vitest";
import { saysAlready } from "./status.ts";

test("counts that the API server does not keep as they are zero are no news", () => {
  const stored = { replicas: 0, observedGeneration: 2 };
  expect(saysAlready(stored, { replicas: 0, readyReplicas: 0, observedGeneration: 2, conditions: [] })).toBe(
    true,
  );
  expect(saysAlready({ ...stored, startTime: "2026-01-01T00:00:00Z" }, { startTime: null })).toBe(false);
  expect(saysAlready(stored, { startTime: null })).toBe(true);
});

test("another count, another condition and one that went to zero are news", () => {
  const condition = { type: "Available", status: "True" };
  const stored = { replicas: 1, readyReplicas: 1, conditions: [condition] };
  expect(saysAlready(stored, stored)).toBe(true);
  expect(saysAlready(stored, { ...stored, readyReplicas: 0 })).toBe(false);
  expect(saysAlready(stored, { ...stored, conditions: [] })).toBe(false);
  expect(saysAlready(stored, { ...stored, conditions: [{ ...condition, status: "False" }] })).toBe(false);
  expect(saysAlready(undefined, { observedGeneration: 1 })).toBe(false);
});
