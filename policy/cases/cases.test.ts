import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { envoyMissing } from "../../test/support/envoy.ts";
import type { CaseResult } from "./answer.ts";
import { compare } from "./compare.ts";
import { compileCase } from "./compile.ts";
import { admitCase, evaluateCase, normalizeCase } from "./evaluator.ts";
import { type Case, readCases } from "./read.ts";
import { KeyRing } from "./token.ts";
import { wireOf } from "./wire.ts";

const root = join(import.meta.dirname, "../..");
const files = ["authz.yaml", "jwt.yaml", "own.yaml", "security.yaml"].map((file) =>
  join(root, "test/cases", file),
);
const all = files.flatMap((file) => readCases(readFileSync(file, "utf8")));
const keys = new KeyRing();
const now = Math.floor(Date.now() / 1000);
const noNetwork = spawnSync("unshare", ["-rn", "true"]).status === 0 ? undefined : "no network namespaces";

describe("the evaluator answers as each case says:", () => {
  test.for(all)("$name", (one) => {
    const answer =
      one.kind === "admission"
        ? admitCase(one)
        : one.kind === "normalize"
          ? normalizeCase(one)
          : evaluateCase(one, keys, now);
    const tokens = one.kind ? [] : wireOf(one, keys, now).tokens;
    expect(compare(one, answer, { tokens }).diff).toEqual([]);
  });
});

describe.skipIf(envoyMissing ?? noNetwork)("a real Envoy answers as each case says", () => {
  test.for(["list", "tree"])("in the %s form", (form) => {
    const { stdout, status } = spawnSync(
      process.execPath,
      [
        [join(root, "cli/main.ts"), "policy", "test", "--engine", "envoy", "--form", form, "-o", "json"],
        files.flatMap((file) => ["-f", file]),
      ].flat(),
      { encoding: "utf8" },
    );
    const results = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as CaseResult);
    expect(results.filter(({ pass }) => !pass)).toEqual([]);
    expect([status, results.length]).toEqual([0, all.length]);
  });
});

test("a case file that fails ends with exit code 1, and says what differs", () => {
  const [one] = readCases("name: x\nexpect: {decision: deny, matched: a}");
  expect(one && compare(one, evaluateCase(one, keys, now), { tokens: [] }).diff).toEqual([
    'decision: want "deny", got "allow"',
    "status: want 403, got 200",
    'matched: want "a", got null',
  ]);
});

describe("what cannot be understood fails closed and is named:", () => {
  const policy = (action: "ALLOW" | "DENY", operation: object): Case => ({
    name: "bad",
    policies: [
      {
        apiVersion: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        metadata: { name: "p", namespace: "foo" },
        spec: { action, rules: [{ to: [{ operation }] }] },
      },
    ],
    expect: {},
  });

  test.each([
    ["ALLOW", { ports: ["http"] }],
    ["DENY", { ports: ["http"] }],
    ["ALLOW", { paths: ["/a/{*}/{x}"] }],
    ["DENY", { notPorts: ["99999"] }],
    ["ALLOW", { notPorts: ["99999"] }],
  ] as const)("%s with %j denies", (action, operation) => {
    const one = policy(action, operation);
    expect(evaluateCase(one, keys, now).decision).toBe("deny");
    expect(compileCase(one, keys).problems).toEqual([
      expect.objectContaining({
        field: expect.stringMatching(/^\/spec\/rules\/0\/to\/0\/operation\/\w+\/0$/),
      }),
    ]);
  });
});

test("a workload that a Canary made stays under the policies of its target", () => {
  const one: Case = {
    name: "generated",
    policies: [
      {
        apiVersion: "security.istio.io/v1",
        kind: "AuthorizationPolicy",
        metadata: { name: "p", namespace: "foo" },
        spec: { selector: { matchLabels: { app: "shop" } }, action: "DENY", rules: [{}] },
      },
    ],
    expect: {},
  };
  const labels = { app: "shop-primary" };
  const rules = (workload: NonNullable<Case["workload"]> & { targetLabels?: Record<string, string> }) =>
    compileCase({ ...one, workload }, keys).policy.deny.rules.length;
  expect(rules({ namespace: "foo", labels })).toBe(0);
  expect(rules({ namespace: "foo", labels, targetLabels: { app: "shop" } })).toBe(1);
});
