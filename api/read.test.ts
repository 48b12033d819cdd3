import fc from "fast-check";
import { expect, test } from "vitest";
import { readCanary } from "./canary/read.ts";
import {
  AuthorizationPolicyKind,
  CanaryKind,
  DestinationRuleKind,
  PeerAuthenticationKind,
  RequestAuthenticationKind,
  VirtualServiceKind,
} from "./kinds.ts";
import { describeProblem, read } from "./read.ts";
import { apiVersion, type Kind } from "./resource.ts";

const object = (kind: Kind, spec: unknown, metadata: object = { name: "a", namespace: "demo" }) => ({
  apiVersion: apiVersion(kind),
  kind: kind.kind,
  metadata,
  spec,
});

test("a VirtualService of any served version is read", () => {
  const spec = {
    hosts: ["shop"],
    http: [
      {
        route: [
          { destination: { host: "shop-primary", port: { number: 80 } }, weight: 100 },
          { destination: { host: "shop-canary" }, weight: 0 },
        ],
        timeout: "5s",
        retries: { attempts: 2, retryRemoteLocalities: null },
      },
    ],
  };
  for (const version of ["v1", "v1beta1", "v1alpha3"]) {
    const { value, problems } = read(VirtualServiceKind, object({ ...VirtualServiceKind, version }, spec));
    expect(problems).toEqual([]);
    expect(value?.spec).toEqual(spec);
  }
});

test("a policy without a spec has an empty one", () => {
  for (const spec of [undefined, null])
    expect(read(AuthorizationPolicyKind, object(AuthorizationPolicyKind, spec)).value?.spec).toEqual({});
});

test("a policy with a wrong type has no value, as what is left of it could open more", () => {
  const { value, problems } = read(
    AuthorizationPolicyKind,
    object(AuthorizationPolicyKind, { rules: [{ from: [{ source: { principals: "web" } }] }] }),
  );
  expect(value).toBeUndefined();
  expect(problems).toMatchObject([
    { field: "/spec/rules/0/from/0/source/principals", message: "is the string `web`, must be a list" },
  ]);
});

test.for([
  [
    PeerAuthenticationKind,
    { mtls: { mode: "strict" } },
    "/spec/mtls/mode",
    "is `strict`, did you mean `STRICT`?",
  ],
  [RequestAuthenticationKind, { jwtRules: [{}] }, "/spec/jwtRules/0/issuer", "is required"],
  [
    DestinationRuleKind,
    { host: "a", trafficPolicy: { loadBalancer: { simple: "ROUNDROBIN" } } },
    "/spec/trafficPolicy/loadBalancer/simple",
    "is `ROUNDROBIN`, did you mean `ROUND_ROBIN`?",
  ],
  [
    VirtualServiceKind,
    { http: [{ match: [{ headers: { "x/y~z": { exact: "1", regex: "1" } } }] }] },
    "/spec/http/0/match/0/headers/x~1y~0z",
    "takes only one of `exact`, `prefix`, `regex`, has `exact`, `regex`",
  ],
  [
    VirtualServiceKind,
    { http: [{ route: [{ weight: 1 }] }] },
    "/spec/http/0/route/0/destination",
    "is required",
  ],
] as const)("%# %o tells the field and what is allowed", ([kind, spec, field, message]) => {
  const { value, problems } = read(kind as Kind, object(kind, spec));
  expect(value).toBeUndefined();
  expect(problems.map((problem) => [problem.field, problem.message])).toEqual([[field, message]]);
});

test("an object of another kind or version is told so", () => {
  const { problems } = read(CanaryKind, { apiVersion: "flagger.app/v1", kind: "Canry", metadata: {} });
  expect(problems.map(({ field, message }) => `${field} ${message}`)).toEqual([
    "/kind is `Canry`, must be `Canary`",
    "/apiVersion is `flagger.app/v1`, allowed are `flagger.app/v1beta1`",
    "/metadata/name is required",
  ]);
});

test("a problem reads as one line", () => {
  const [problem] = readCanary(
    object(CanaryKind, {
      targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "a" },
      service: { port: 80 },
      analysis: { interval: "1m", threshold: 1, stepWeight: 5, metrics: [{ name: "x\ny" }] },
    }),
  ).problems;
  expect(problem && describeProblem(problem)).toMatch(
    /^canary demo\/a: spec\.analysis\.metrics\[0\]\.name is/,
  );
});

test("keys of the prototype are harmless, wherever they stand", () => {
  const evil = JSON.parse('{"__proto__": {"polluted": "yes"}, "constructor": "x", "toString": "y"}');
  const route = { destination: { host: "a", ...evil }, headers: { request: { set: evil } } };
  const found = JSON.parse(
    JSON.stringify(
      object(
        VirtualServiceKind,
        { hosts: ["a"], http: [{ route: [route], match: [{ sourceLabels: evil }] }] },
        { name: "a", labels: evil },
      ),
    ),
  );
  const { value, problems } = read(VirtualServiceKind, found);
  expect(({} as { polluted?: string }).polluted).toBeUndefined();
  expect(problems.length).toBeGreaterThan(0);
  expect(value).toBeUndefined();

  const labels = JSON.parse('{"__proto__": "a", "constructor": "b"}');
  const kept = read(
    VirtualServiceKind,
    object(VirtualServiceKind, { http: [{ match: [{ sourceLabels: labels }] }] }, { name: "a", labels }),
  ).value;
  const sourceLabels = kept?.spec.http?.[0]?.match?.[0]?.sourceLabels ?? {};
  expect(Object.keys(sourceLabels)).toEqual(["__proto__", "constructor"]);
  expect("toString" in sourceLabels).toBe(false);
});

const kinds = [
  CanaryKind,
  VirtualServiceKind,
  DestinationRuleKind,
  AuthorizationPolicyKind,
  RequestAuthenticationKind,
  PeerAuthenticationKind,
] as const;

test("any JSON is read without throwing, and a value only comes without errors", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Kind>(...kinds),
      fc.jsonValue({ maxDepth: 6 }),
      fc.boolean(),
      (kind, json, wrapped) => {
        const found = wrapped ? object(kind, json) : json;
        const { value, problems } = kind.kind === "Canary" ? readCanary(found) : read(kind, found);
        const errors = problems.filter(({ severity }) => severity === undefined);
        expect(value === undefined).toBe(errors.length > 0);
        for (const { field, message } of problems) {
          expect(field === "" || field.startsWith("/")).toBe(true);
          expect(message).toMatch(/^[^\n]+$/);
        }
      },
    ),
    { numRuns: 300 },
  );
});

/** Specs that come close to a Canary's: known names with any value. */
const nearCanary = fc.record(
  {
    targetRef: fc.oneof(
      fc.constant({ apiVersion: "apps/v1", kind: "Deployment", name: "a" }),
      fc.jsonValue(),
    ),
    service: fc.oneof(
      fc.record(
        { port: fc.oneof(fc.double(), fc.constant(80)), timeout: fc.string(), name: fc.string() },
        { requiredKeys: ["port"] },
      ),
      fc.jsonValue(),
    ),
    provider: fc.constantFrom("istio", "kubernetes", "knative"),
    analysis: fc.record(
      {
        interval: fc.oneof(fc.constantFrom("1s", "1m30s", "0s", "9999999999m"), fc.string()),
        threshold: fc.oneof(fc.integer(), fc.double()),
        stepWeight: fc.oneof(fc.integer(), fc.double()),
        stepWeights: fc.array(fc.oneof(fc.integer({ min: -5, max: 105 }), fc.double())),
        maxWeight: fc.oneof(fc.integer(), fc.double()),
        iterations: fc.oneof(fc.integer(), fc.double()),
        metrics: fc.array(
          fc.record(
            {
              name: fc.oneof(fc.constant("request-duration"), fc.string()),
              thresholdRange: fc.object({ key: fc.constantFrom("min", "max") }),
            },
            { requiredKeys: ["name"] },
          ),
        ),
        guard: fc.jsonValue(),
        sequential: fc.jsonValue(),
      },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ["targetRef"] },
);

test("whatever stands in a Canary's fields, steps rise to at most 100 and times are at least a second", () => {
  fc.assert(
    fc.property(nearCanary, (spec) => {
      const { value } = readCanary(object(CanaryKind, spec));
      if (!value) return;
      const { strategy, interval, threshold } = value.analysis;
      expect(interval).toBeGreaterThanOrEqual(1000);
      expect(threshold).toBeGreaterThanOrEqual(1);
      if (strategy.kind !== "weights") return expect(strategy.iterations).toBeGreaterThanOrEqual(1);
      expect(strategy.steps.length).toBeGreaterThan(0);
      expect(strategy.steps.at(-1)).toBe(strategy.maxWeight);
      strategy.steps.forEach((step, index) => {
        expect(step).toBeGreaterThan(strategy.steps[index - 1] ?? 0);
        expect(step).toBeLessThanOrEqual(100);
      });
    }),
    { numRuns: 500 },
  );
});
