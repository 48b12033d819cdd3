/** Bad input: taken in less than a second or refused with the field's path, and whatever stays shut stays shut. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { KubeObject } from "../../api/resource.ts";
import { envoyMissing } from "../../test/support/envoy.ts";
import type { CaseResult } from "../cases/answer.ts";
import { compilePolicies } from "../compile/compile.ts";
import { defaultMesh } from "../compile/mesh.ts";
import { evaluator } from "../evaluate/evaluate.ts";
import type { PolicyRequest } from "../evaluate/request.ts";
import { checkPolicy } from "./check.ts";

const noNetwork = spawnSync("unshare", ["-rn", "true"]).status === 0 ? undefined : "no network namespaces";
const workload = { namespace: "foo", labels: {} };

function policy(name: string, spec: object): AuthorizationPolicy & KubeObject {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "foo" },
    spec,
  };
}

const closed = policy("closed", { action: "DENY", rules: [{ to: [{ operation: { paths: ["/admin*"] } }] }] });

const large = {
  rules: Array.from({ length: 5000 }, (_, index) => ({
    from: [
      { source: { principals: [`cluster.local/ns/n/sa/s${index}`] } },
      { source: { ipBlocks: [`10.${index % 256}.0.0/16`] } },
    ],
    to: [{ operation: { paths: [`/p${index}`, `/q${index}/*`], methods: ["GET"] } }],
  })),
};

function request(path: string): PolicyRequest {
  const headers = new Map<string, string[]>();
  const rest = {
    sourceIp: "10.1.0.1",
    remoteIp: "10.1.0.1",
    sni: "",
    claims: undefined,
    identities: undefined,
  };
  const destination = { ip: "10.1.0.2", port: 80 };
  return { protocol: "http", method: "GET", path, host: "a", headers, destination, ...rest };
}

/** Checks and compiles beside a good policy; the milliseconds of it, what is wrong, and whether the good one holds. */
function live(object: AuthorizationPolicy) {
  const start = process.cpuUsage();
  const problems = checkPolicy(object);
  const { policy: compiled, problems: notCompiled } = compilePolicies(
    { authorization: [object, closed], authentication: [] },
    workload,
    { ...defaultMesh },
  );
  const evaluate = evaluator(compiled);
  // The time of a processor: a busy machine makes nothing slower.
  const { user, system } = process.cpuUsage(start);
  const milliseconds = (user + system) / 1000;
  return {
    fields: [...problems, ...notCompiled].map(({ field }) => field),
    milliseconds,
    decide: (path: string) => evaluate(request(path)).decision,
    shut: evaluate(request("/admin")).decision === "deny",
  };
}

test("a policy of 5,000 rules, more than the schema allows, is refused by its path, and in force in less than a second", () => {
  const { fields, milliseconds, shut, decide } = live(policy("large", large));
  expect([fields, shut]).toEqual([["/spec/rules"], true]);
  expect(decide("/p1")).toBe("allow");
  expect(decide("/p2")).toBe("deny");
  expect(milliseconds).toBeLessThan(1000);
});

test("so is an object of 1 MiB, in one value or in a rule of very many", () => {
  const long = `/${"x".repeat(1024 * 1024)}`;
  const one = live(policy("long", { action: "DENY", rules: [{ to: [{ operation: { paths: [long] } }] }] }));
  expect([one.shut, one.decide(long), one.decide("/x")]).toEqual([true, "deny", "allow"]);
  expect(one.milliseconds).toBeLessThan(1000);
  const paths = Array.from({ length: 100_000 }, (_, index) => `/p${index}`);
  const many = live(policy("many", { rules: [{ to: [{ operation: { paths } }] }] }));
  expect([many.shut, many.decide("/p99999"), many.decide("/q")]).toEqual([true, "allow", "deny"]);
  expect(many.milliseconds).toBeLessThan(1000);
});

test.for(["__proto__", "constructor", "prototype", "toString"])("`%s` is a name like any other", (name) => {
  const spec: unknown = JSON.parse(
    `{"rules": [{"from": [{"source": {"principals": ["a"], "${name}": ["b"]}}], "${name}": {"polluted": true}}], "${name}": {"polluted": true}}`,
  );
  const { shut } = live(policy(name, spec as object));
  expect(shut).toBe(true);
  expect(Reflect.get({}, "polluted")).toBeUndefined();
  const claim = live(
    policy("claim", { rules: [{ when: [{ key: `request.auth.claims[${name}]`, values: ["*"] }] }] }),
  );
  expect([claim.shut, claim.decide("/")]).toEqual([true, "deny"]);
});

test("deep nesting is refused by its path, and closes", () => {
  let deep: unknown = "x";
  for (let level = 0; level < 10_000; level += 1) deep = { deep };
  const { fields, shut, milliseconds } = live(policy("deep", { rules: [{ to: [{ operation: deep }] }] }));
  expect(fields.length).toBeGreaterThan(0);
  expect(shut).toBe(true);
  expect(milliseconds).toBeLessThan(1000);
});

const odd: readonly (readonly [string, unknown])[] = [
  ["rules of another type", { rules: "all" }],
  ["a rule that is null", { rules: [null] }],
  ["values of another type", { rules: [{ to: [{ operation: { paths: { a: 1 } } }] }] }],
  ["numbers for texts", { rules: [{ to: [{ operation: { ports: [80.5] } }] }] }],
  [
    "lists and nulls for texts",
    { rules: [{ to: [{ operation: { paths: [1, null, {}], hosts: [["a"]] } }] }] },
  ],
  ["sources of another type", { rules: [{ from: "x", to: 1, when: {} }] }],
  ["an unknown action", { action: "PERMIT", rules: [{}] }],
  ["half a surrogate", { rules: [{ to: [{ operation: { paths: ["/\ud800"] } }] }] }],
  ["a byte 0", { rules: [{ to: [{ operation: { paths: ["/\0"] } }] }] }],
  [
    "a claim of 50,000 steps",
    { rules: [{ when: [{ key: `request.auth.claims${"[a]".repeat(50_000)}`, values: ["*"] }] }] },
  ],
  ["a text for the whole", "x"],
];

test.for(odd)("%s: nothing else stops being enforced, and nobody is let in by it", ([, spec]) => {
  const { shut, decide } = live(policy("odd", spec as object));
  expect([shut, decide("/anything")]).toEqual([true, "deny"]);
});

describe.skipIf(envoyMissing ?? noNetwork)("on a real Envoy", () => {
  test("so it is beside each of these", () => {
    const cases = [
      ...odd,
      ["a provider of another type", { action: "CUSTOM", provider: { name: {} }, rules: [{}] }] as const,
    ].flatMap(([name, spec]) =>
      ["/admin", "/anything"].map((path) => ({
        name: `${name} ${path}`,
        policies: [policy("odd", spec as object), closed],
        request: { path, source: { principal: "cluster.local/ns/n/sa/none" } },
        expect: { decision: "deny", status: 403 },
      })),
    );
    const folder = mkdtempSync(join(tmpdir(), "fairlead-bad-input-"));
    const file = join(folder, "cases.yaml");
    writeFileSync(file, cases.map((one) => `---\n${JSON.stringify(one)}\n`).join(""));
    const main = join(import.meta.dirname, "../../cli/main.ts");
    const { stdout, status } = spawnSync(
      process.execPath,
      [main, "policy", "test", "--engine", "envoy", "--form", "tree", "-f", file, "-o", "json"],
      { encoding: "utf8" },
    );
    rmSync(folder, { recursive: true });
    const results = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as CaseResult);
    expect(results.filter(({ pass }) => !pass)).toEqual([]);
    expect([status, results.length]).toEqual([0, cases.length]);
  });
});
