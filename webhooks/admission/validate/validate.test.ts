import { expect, test } from "vitest";
import type { Canary } from "../../../api/kinds.ts";
import type { UnreadObject } from "../../../api/resource.ts";
import { validateObject } from "./object.ts";
import { validate } from "./review.ts";

const spec = {
  targetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "shop" },
  service: { port: 80 },
  analysis: { interval: "10s", threshold: 5, stepWeight: 10 },
} as const satisfies Canary["spec"];

function canary(name: string, changes: object = {}, metadata: object = {}): Canary & UnreadObject {
  return {
    apiVersion: "flagger.app/v1beta1",
    kind: "Canary",
    metadata: { name, namespace: "demo", ...metadata },
    spec: { ...spec, ...changes },
  };
}

const badly = { analysis: { interval: "1h", threshold: 5, stepWeight: 10 } };

test("a good Canary is allowed, its missing target is no matter", () => {
  expect(validateObject(canary("a"), undefined, [])).toEqual({ allowed: true, warnings: [] });
});

test("every error is told with its field path, in one line", () => {
  const { allowed, message } = validateObject(
    canary("a", {
      provider: "itsio",
      analysis: { ...spec.analysis, interval: "1h", metrics: [{ name: 3 }] },
    }),
    undefined,
    [],
  );
  expect(allowed).toBe(false);
  expect(message).toBe(
    "Canary `a`: spec.provider is `itsio`, did you mean `istio`?; spec.analysis.interval is `1h`, must be a duration in minutes or seconds such as `30s` or `1m30s`; spec.analysis.metrics[0].name is `3`, must be a string",
  );
});

test("a thousand errors are still a short answer", () => {
  const metrics = Array.from({ length: 1000 }, () => ({ name: 3 }));
  const { message = "" } = validateObject(
    canary("a", { analysis: { ...spec.analysis, metrics } }),
    undefined,
    [],
  );
  expect(message).toMatch(/; and 990 more$/);
  expect(message.length).toBeLessThan(2000);
});

test("the second Canary on a target is refused, and told which is the first", () => {
  const first = canary("first");
  expect(validateObject(canary("second"), undefined, [first])).toMatchObject({
    allowed: false,
    message:
      "Canary `second`: spec.targetRef is Deployment `shop`, which Canary `demo/first` already releases: delete one of them",
  });
  expect(validateObject(first, undefined, [first]).allowed).toBe(true);
  expect(
    validateObject(canary("second"), undefined, [canary("first", {}, { namespace: "other" })]).allowed,
  ).toBe(true);
  expect(
    validateObject(canary("second"), undefined, [
      canary("first", {}, { deletionTimestamp: "2026-01-01T00:00:00Z" }),
    ]).allowed,
  ).toBe(true);
});

test("a conflict that is already there does not stop other changes", () => {
  const before = canary("second");
  const { allowed, warnings } = validateObject(canary("second", { suspend: true }), before, [
    canary("first"),
  ]);
  expect(allowed).toBe(true);
  expect(warnings).toEqual([expect.stringContaining("demo/first")]);
});

test("two Canaries that generate one Service are warned about", () => {
  const other = canary("b", {
    targetRef: { ...spec.targetRef, name: "web" },
    service: { port: 80, name: "shop" },
  });
  expect(validateObject(other, undefined, [canary("a")])).toMatchObject({
    allowed: true,
    warnings: [expect.stringContaining("spec.service.name")],
  });
});

test("what was stored broken can still be labelled and deleted, but not changed into something else broken", () => {
  const stored = canary("a", badly);
  expect(validateObject(canary("a", badly, { labels: { a: "b" } }), stored, [])).toMatchObject({
    allowed: true,
    warnings: [expect.stringContaining("spec.analysis.interval")],
  });
  expect(
    validateObject(
      canary("a", { ...badly, suspend: true }, { deletionTimestamp: "2026-01-01T00:00:00Z" }),
      stored,
      [],
    ).allowed,
  ).toBe(true);
  expect(validateObject(canary("a", { ...badly, suspend: true }), stored, []).allowed).toBe(false);
});

test("an unknown field is a warning", () => {
  expect(validateObject(canary("a", { susspend: true }), undefined, [])).toEqual({
    allowed: true,
    warnings: ["spec.susspend is not a field: did you mean `suspend`?"],
  });
});

test("an object with a generated name is validated", () => {
  expect(
    validateObject(
      { ...canary("a"), metadata: { name: "", generateName: "shop-", namespace: "demo" } },
      undefined,
      [],
    ).allowed,
  ).toBe(true);
});

test("policies are validated, foreign kinds are not our matter", () => {
  const policy = {
    apiVersion: "security.istio.io/v1beta1",
    kind: "PeerAuthentication",
    metadata: { name: "a" },
    spec: { mtls: { mode: "ON" } },
  };
  expect(validateObject(policy, undefined, [])).toMatchObject({
    allowed: false,
    message: expect.stringContaining("spec.mtls.mode"),
  });
  expect(validateObject({ ...policy, apiVersion: "example.com/v1" }, undefined, []).allowed).toBe(true);
});

test("an AdmissionReview is answered with its uid, and Canaries are looked up in its namespace", () => {
  const review = (request: object) =>
    validate(
      {
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        request: { uid: "u", operation: "CREATE", ...request },
      },
      (namespace) => (namespace === "demo" ? [canary("first")] : []),
    );
  const second = { ...canary("second"), metadata: { name: "second" } };
  expect(review({ namespace: "demo", object: second }).response).toMatchObject({
    uid: "u",
    allowed: false,
    status: { code: 422, reason: "Invalid", message: expect.stringContaining("demo/first") },
  });
  expect(review({ namespace: "else", object: second }).response).toEqual({ uid: "u", allowed: true });
  for (const request of [
    { operation: "DELETE", oldObject: second },
    { subResource: "status", object: canary("a", badly) },
    { object: null },
  ]) {
    expect(review(request).response.allowed).toBe(true);
  }
});

test("a web metric whose path is code, or whose query may leave its address, is refused", () => {
  const template = (provider: object, query: string) => ({
    apiVersion: "flagger.app/v1beta1",
    kind: "MetricTemplate",
    metadata: { name: "rate", namespace: "demo" },
    spec: { provider: { type: "web", address: "https://metrics.example.com", ...provider }, query },
  });
  expect(
    validateObject(template({ jsonPath: "{$.data.rate}" }, "/v1?s={{ target }}"), undefined, []).allowed,
  ).toBe(true);
  const refused = validateObject(
    template({ jsonPath: "$[?(@.constructor)]" }, "@evil.example.com/"),
    undefined,
    [],
  );
  expect(refused.allowed).toBe(false);
  expect(refused.message).toBe(
    "MetricTemplate `rate`: spec.provider.jsonPath has a filter, a script or an operator on parents: only names, indices and `*` are read; spec.query must be a path or parameters of the address: `/...` or `?...`",
  );
  expect(validateObject(template({}, "/x"), undefined, []).allowed).toBe(false);
});

test("references to other namespaces are refused where they are forbidden, and only there", () => {
  const analysis = {
    interval: "10s",
    threshold: 5,
    stepWeight: 10,
    metrics: [{ name: "errors", templateRef: { name: "errors", namespace: "other" } }],
    alerts: [{ name: "chat", providerRef: { name: "chat", namespace: "other" } }],
  };
  const object = canary("a", { analysis });
  expect(validateObject(object, undefined, []).allowed).toBe(true);
  const { allowed, message } = validateObject(object, undefined, [], undefined, {
    crossNamespaceRefs: false,
  });
  expect(allowed).toBe(false);
  expect(message).toContain("spec.analysis.metrics[0].templateRef.namespace is `other`, must be `demo`");
  expect(message).toContain("spec.analysis.alerts[0].providerRef.namespace is `other`, must be `demo`");
});

test("a MetricTemplate that does not exist yet is warned about with its field", () => {
  const metrics = [{ name: "errors", templateRef: { name: "errors" }, thresholdRange: { max: 1 } }];
  const object = canary("a", { analysis: { ...spec.analysis, metrics } });
  const warnings = [
    "spec.analysis.metrics[0].templateRef is `demo/errors`, a MetricTemplate that does not exist yet: no run begins before it does",
  ];
  expect(validateObject(object, undefined, [], undefined, {}, () => false)).toEqual({
    allowed: true,
    warnings,
  });
  const has = (namespace: string, name: string) => namespace === "demo" && name === "errors";
  expect(validateObject(object, undefined, [], undefined, {}, has).warnings).toEqual([]);
});
