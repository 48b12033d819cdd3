import { expect, test } from "vitest";
import { figuresOf, parseRecord, type RequestLine } from "./record.ts";

const line = (start: number, status: number, version: string | null): RequestLine => ({
  start,
  end: start + 2,
  status,
  version,
});

test("figures follow from the record alone", () => {
  const lines = [
    line(0, 200, "1"),
    line(10, 200, "3"),
    line(100, 500, "3"),
    line(400, 500, "3"),
    line(600, 200, "3"),
    line(700, 200, "2"),
  ];
  expect(figuresOf(lines, "3", 90)).toEqual({
    requests: 6,
    byVersion: { 1: 1, 2: 1, 3: 3 + 1 },
    failed: 2,
    failedBeforeFault: 0,
    canaryErrors: 2,
    faultToZeroWeightSeconds: 0.5,
    failedWhileAtFault: 2,
    failedAfterRollback: 0,
  });
});

test("a failure before the fault, of another version, or after the rollback is told apart", () => {
  const lines = [
    line(0, 0, null),
    line(100, 500, "3"),
    line(110, 503, "2"),
    line(120, 200, "3"),
    line(200, 0, null),
  ];
  expect(figuresOf(lines, "3", 90)).toMatchObject({
    failedBeforeFault: 2,
    failedAfterRollback: 1,
    canaryErrors: 1,
  });
});

test("behind a shield the faulty version's own record tells when it was asked first and last", () => {
  const lines = [line(0, 200, "3"), line(100, 200, "2"), line(400, 200, "2"), line(900, 200, "2")];
  expect(figuresOf(lines, "3", 90, [101, 300, 801])).toMatchObject({
    failed: 0,
    failedWhileAtFault: 0,
    failedAttempts: 3,
    faultToZeroWeightSeconds: 0.7,
    failedAfterRollback: 0,
  });
  expect(figuresOf([...lines, line(350, 503, null)], "3", 90, [101, 801])).toMatchObject({
    failedWhileAtFault: 1,
  });
});

test("a line that is still being written is left for later", () => {
  expect(parseRecord('{"start":1,"end":2,"status":200,"version":"1"}\n{"start":1,"e')).toHaveLength(1);
});
