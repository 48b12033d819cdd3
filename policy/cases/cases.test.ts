import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { envoyMissing } from "../../test/support/envoy.ts";
import { askEnvoy } from "../../test/support/policy-envoy.ts";
import { compileCase, evaluateCase } from "./evaluate.ts";
import { type Case, readCases } from "./read.ts";
import { KeyRing } from "./token.ts";

const folder = join(import.meta.dirname, "../../test/cases");
const all = ["authz.yaml", "jwt.yaml"].flatMap((file) => readCases(readFileSync(join(folder, file), "utf8")));
const keys = new KeyRing();
const now = Math.floor(Date.now() / 1000);

/** Cases that need what is not built yet. */
const needsMore = (one: Case): boolean =>
  one.kind !== undefined ||
  one.mesh?.pathNormalization !== undefined ||
  one.mesh?.extensionProviders !== undefined ||
  one.request?.metadata !== undefined;
const cases = all.filter((one) => !needsMore(one));
/** Cases whose addresses a loopback client cannot have. */
const onEnvoy = cases.filter(
  ({ request }) =>
    request?.protocol !== "tcp" &&
    request?.destination === undefined &&
    [undefined, "10.1.0.1"].includes(request?.source?.ip),
);

const statusOf = ({ expect: { decision, status } }: Case): number =>
  status ?? (decision === "deny" ? 403 : 200);

test("the samples are all here", () => {
  expect(all.length).toBe(39);
  expect(cases.length).toBeGreaterThanOrEqual(34);
  expect(onEnvoy.length).toBeGreaterThanOrEqual(29);
});

describe("the evaluator answers as each sample says:", () => {
  test.for(cases)("$name", async (one) => {
    const answer = await evaluateCase(one, keys, now);
    expect([answer.decision, answer.status]).toEqual([one.expect.decision, statusOf(one)]);
    if (one.expect.matched !== undefined) expect(answer.matched).toBe(one.expect.matched);
    if (one.expect.claims === null) expect(answer.claims).toBeNull();
    else if (one.expect.claims) expect(answer.claims).toMatchObject(one.expect.claims);
  });
});

test.skipIf(envoyMissing)(
  "a real Envoy with our filters answers as each sample says, and names the same rule",
  async () => {
    const log = mkdtempSync(join(tmpdir(), "fl-policy-"));
    try {
      const answers = await askEnvoy(onEnvoy, keys, now, join(log, "access.log"));
      const said = onEnvoy.map((one, index) => [one.name, answers[index]?.status]);
      expect(said).toEqual(onEnvoy.map((one) => [one.name, statusOf(one)]));
      for (const [index, one] of onEnvoy.entries()) {
        const answer = answers[index];
        if (one.expect.decision === "deny" && statusOf(one) === 403 && one.expect.matched !== undefined) {
          expect([one.name, answer?.deniedBy]).toEqual([one.name, one.expect.matched]);
        }
        for (const [name, value] of Object.entries(one.expect.upstreamHeaders ?? {})) {
          if (value === null) expect([one.name, answer?.upstream?.[name]]).toEqual([one.name, undefined]);
          else expect([one.name, typeof answer?.upstream?.[name]]).toEqual([one.name, "string"]);
        }
      }
    } finally {
      rmSync(log, { recursive: true });
    }
  },
);

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
    ["ALLOW", { paths: ["/a/{x}"] }],
    ["DENY", { notPorts: ["99999"] }],
    ["ALLOW", { notPorts: ["99999"] }],
  ] as const)("%s with %j denies", async (action, operation) => {
    const one = policy(action, operation);
    expect((await evaluateCase(one, keys, now)).decision).toBe("deny");
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
