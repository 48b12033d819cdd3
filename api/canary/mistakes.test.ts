import { expect, test } from "vitest";
import type { UnreadObject } from "../resource.ts";
import { analysed, canary } from "../testdata/canary.ts";
import { readCanary } from "./read.ts";

/** What users get wrong: the object, where it is, and what they are told. */
const mistakes: readonly (readonly [string, UnreadObject, string, string])[] = [
  [
    "no analysis",
    canary({ analysis: undefined }),
    "/spec/analysis",
    "is required: give `interval`, `threshold` and one of `stepWeight`, `stepWeights`, `steps`, `iterations`",
  ],
  [
    "no service",
    canary({ service: undefined }),
    "/spec/service",
    "is required: say at least which `port` clients call",
  ],
  [
    "no plan",
    analysed({}),
    "/spec/analysis",
    "needs one of `stepWeight`, `stepWeights`, `steps`, `iterations`",
  ],
  [
    "two plans",
    analysed({ stepWeight: 1, stepWeights: [1] }),
    "/spec/analysis",
    "takes only one of `stepWeight`, `stepWeights`, `steps`, `iterations`, has `stepWeight`, `stepWeights`",
  ],
  [
    "no threshold",
    canary({}, { interval: "1m", stepWeight: 5 }),
    "/spec/analysis/threshold",
    "is required: how many failed checks roll back",
  ],
  [
    "interval in hours",
    analysed({ interval: "1h", stepWeight: 5 }),
    "/spec/analysis/interval",
    "is `1h`, must be a duration in minutes or seconds such as `30s` or `1m30s`",
  ],
  [
    "interval of no unit",
    analysed({ interval: "30", stepWeight: 5 }),
    "/spec/analysis/interval",
    "is `30`, must be a duration in minutes or seconds such as `30s` or `1m30s`",
  ],
  [
    "interval with a tail",
    analysed({ interval: "10sec", stepWeight: 5 }),
    "/spec/analysis/interval",
    "is `10sec`, must be a duration such as `30s` or `1m30s`",
  ],
  [
    "interval of nothing",
    analysed({ interval: "0s", stepWeight: 5 }),
    "/spec/analysis/interval",
    "is `0s`, must be at least `1s`",
  ],
  [
    "interval as a number",
    analysed({ interval: 10, stepWeight: 5 }),
    "/spec/analysis/interval",
    "is `10`, must be a string",
  ],
  [
    "stepWeight 0",
    analysed({ stepWeight: 0 }),
    "/spec/analysis/stepWeight",
    "is `0`, must be between 1 and 100",
  ],
  [
    "half a percent",
    analysed({ stepWeight: 0.5 }),
    "/spec/analysis/stepWeight",
    "is `0.5`, must be a whole number",
  ],
  [
    "maxWeight 120",
    analysed({ stepWeight: 5, maxWeight: 120 }),
    "/spec/analysis/maxWeight",
    "is `120`, must be between 0 and 100",
  ],
  [
    "weights fall",
    analysed({ stepWeights: [10, 5] }),
    "/spec/analysis/stepWeights/1",
    "is `5`, must be more than the weight before it (`10`)",
  ],
  [
    "weight above 100",
    analysed({ stepWeights: [10, 200] }),
    "/spec/analysis/stepWeights/1",
    "is `200`, must be between 1 and 100",
  ],
  [
    "no weights",
    analysed({ stepWeights: [] }),
    "/spec/analysis/stepWeights",
    "is empty, must hold at least one weight",
  ],
  ["iterations 0", analysed({ iterations: 0 }), "/spec/analysis/iterations", "is `0`, must be at least 1"],
  [
    "weight as text",
    analysed({ stepWeight: "5" }),
    "/spec/analysis/stepWeight",
    "is the string `5`, must be a number",
  ],
  ["unknown provider", canary({ provider: "itsio" }), "/spec/provider", "is `itsio`, did you mean `istio`?"],
  [
    "unknown target",
    canary({ targetRef: { apiVersion: "apps/v1", kind: "ReplicaSet", name: "a" } }),
    "/spec/targetRef/kind",
    "is `ReplicaSet`, allowed are `DaemonSet`, `Deployment`, `Service`, `StatefulSet`",
  ],
  [
    "target of another group",
    canary({ targetRef: { apiVersion: "v1", kind: "Deployment", name: "a" } }),
    "/spec/targetRef/apiVersion",
    "is `v1`, a Deployment has `apps/v1`",
  ],
  [
    "target without a name",
    canary({ targetRef: { apiVersion: "apps/v1", kind: "Deployment" } }),
    "/spec/targetRef/name",
    "is required",
  ],
  [
    "port as text",
    canary({ service: { port: "http" } }),
    "/spec/service/port",
    "is the string `http`, must be a number",
  ],
  [
    "port too high",
    canary({ service: { port: 70_000 } }),
    "/spec/service/port",
    "is `70000`, must be between 1 and 65535",
  ],
  [
    "timeout",
    canary({ service: { port: 80, retries: { attempts: 1, perTryTimeout: "fast" } } }),
    "/spec/service/retries/perTryTimeout",
    "is `fast`, must be a duration such as `15s`",
  ],
  [
    "a delegate with hosts",
    canary({ service: { port: 80, delegation: true, hosts: ["a"] } }),
    "/spec/service/hosts",
    "must be empty: with `delegation` the root VirtualService names them",
  ],
  [
    "a long name",
    canary({ service: { port: 80, name: "a".repeat(60) } }),
    "/spec/service/name",
    `is \`${"a".repeat(60)}\`, too long: the Service \`${"a".repeat(60)}-primary\` may have 63 characters`,
  ],
  [
    "two ways to match",
    canary({ service: { port: 80, match: [{ uri: { exact: "/", prefix: "/" } }] } }),
    "/spec/service/match/0/uri",
    "takes only one of `exact`, `prefix`, `regex`, has `exact`, `prefix`",
  ],
  [
    "unknown check",
    analysed({ stepWeight: 5, metrics: [{ name: "request-sucess-rate" }] }),
    "/spec/analysis/metrics/0/name",
    "is `request-sucess-rate`, which is no built-in check: did you mean `request-success-rate`? (or give `templateRef`)",
  ],
  [
    "nothing passes",
    analysed({ stepWeight: 5, metrics: [{ name: "request-duration", thresholdRange: { min: 9, max: 1 } }] }),
    "/spec/analysis/metrics/0/thresholdRange",
    "has min `9` above max `1`: nothing passes",
  ],
  [
    "unknown hook type",
    analysed({ stepWeight: 5, webhooks: [{ name: "a", url: "http://a", type: "pre-rolout" }] }),
    "/spec/analysis/webhooks/0/type",
    "is `pre-rolout`, did you mean `pre-rollout`?",
  ],
  [
    "no URL",
    analysed({ stepWeight: 5, webhooks: [{ name: "a", url: "loadtester:80" }] }),
    "/spec/analysis/webhooks/0/url",
    "is `loadtester:80`, must be a URL that begins with http:// or https://",
  ],
  [
    "guard",
    analysed({ stepWeight: 5, guard: "maybe" }),
    "/spec/analysis/guard",
    "is `maybe`, must be on, off or an object with tripWire, errors, latency, alpha, warmup",
  ],
  [
    "part of the guard",
    analysed({ stepWeight: 5, guard: { errors: 3 } }),
    "/spec/analysis/guard/errors",
    "is `3`, must be on or off",
  ],
  [
    "alpha",
    analysed({ stepWeight: 5, sequential: { alpha: 1 } }),
    "/spec/analysis/sequential/alpha",
    "is `1`, must be a chance above 0 and below 1 such as 0.01",
  ],
  [
    "deadline",
    analysed({ stepWeight: 5, deadline: "soon" }),
    "/spec/analysis/deadline",
    "is `soon`, must be a duration such as `4h` or `1m30s`",
  ],
  [
    "one cookie for both",
    analysed({ stepWeight: 5, sessionAffinity: { cookieName: "a", primaryCookieName: "a" } }),
    "/spec/analysis/sessionAffinity/primaryCookieName",
    "is `a`, must differ from `cookieName`",
  ],
  [
    "shield of no method",
    analysed({ stepWeight: 5, shield: { methods: [] } }),
    "/spec/analysis/shield/methods",
    "is empty, must hold at least one method: leave `shield` out",
  ],
  [
    "shield of an empty method",
    analysed({ stepWeight: 5, shield: { methods: ["GET", ""] } }),
    "/spec/analysis/shield/methods/1",
    "is empty, must be an HTTP method in upper case such as `GET`",
  ],
  [
    "shield of a lower-case method",
    analysed({ stepWeight: 5, shield: { methods: ["get"] } }),
    "/spec/analysis/shield/methods/0",
    "is `get`, must be an HTTP method in upper case such as `GET`",
  ],
  [
    "shield of a tunnel",
    analysed({ stepWeight: 5, shield: { methods: ["CONNECT"] } }),
    "/spec/analysis/shield/methods/0",
    "is `CONNECT`, which opens a tunnel: it cannot be sent twice",
  ],
  [
    "shield that waits too long",
    canary(
      { service: { port: 80, timeout: "1s" } },
      { interval: "10s", threshold: 5, stepWeight: 5, shield: { hangAfter: "500ms" } },
    ),
    "/spec/analysis/shield/hangAfter",
    "is `500ms`, must be under half of `spec.service.timeout` (`1s`): the primary needs as long again",
  ],
  [
    "shield whose default waits too long",
    canary(
      { service: { port: 80, timeout: "500ms" } },
      { interval: "10s", threshold: 5, stepWeight: 5, shield: {} },
    ),
    "/spec/analysis/shield/hangAfter",
    "is `300ms`, must be under half of `spec.service.timeout` (`500ms`): the primary needs as long again",
  ],
  [
    "shield of no time",
    analysed({ stepWeight: 5, shield: { hangAfter: "0ms" } }),
    "/spec/analysis/shield/hangAfter",
    "is `0ms`, must be at least `0.001s`",
  ],
  [
    "shield of blue/green",
    analysed({ iterations: 5, shield: {} }),
    "/spec/analysis/shield",
    "cannot stand with `iterations` (blue/green): give weights, so that the primary takes users' traffic beside the canary",
  ],
  [
    "shield of A/B testing",
    analysed({ iterations: 5, match: [{ headers: { a: { exact: "b" } } }], shield: {} }),
    "/spec/analysis/shield",
    "cannot stand with `iterations` (A/B testing): give weights, so that the primary takes users' traffic beside the canary",
  ],
  [
    "shield that promotes what nobody judged",
    analysed({ stepWeight: 5, onInconclusive: "promote", shield: {} }),
    "/spec/analysis/shield",
    "cannot stand with `onInconclusive: promote`: what nobody could judge would meet all users without it",
  ],
  [
    "shield of users who stay",
    analysed({ stepWeight: 5, sessionAffinity: { cookieName: "a" }, shield: {} }),
    "/spec/analysis/shield",
    "cannot stand with `sessionAffinity`: the primary's answer in the canary's place would bind its user to the canary",
  ],
  [
    "shield without HTTP",
    canary(
      { service: { port: 80, appProtocol: "tcp" } },
      { interval: "10s", threshold: 5, stepWeight: 5, shield: {} },
    ),
    "/spec/analysis/shield",
    "needs HTTP: the service's appProtocol is `tcp`",
  ],
  [
    "shield by another mesh",
    canary({ provider: "linkerd" }, { interval: "10s", threshold: 5, stepWeight: 5, shield: {} }),
    "/spec/analysis/shield",
    "needs the embedded mesh, which provider `linkerd` goes without: allowed are `istio`, `gatewayapi:v1`, `gatewayapi:v1beta1`",
  ],
  [
    "Knative without its provider",
    canary({ targetRef: { apiVersion: "serving.knative.dev/v1", kind: "Service", name: "a" } }),
    "/spec/provider",
    "is `istio`, a Knative Service needs `knative`",
  ],
];

test.for(mistakes)("%s is refused at its field", ([, object, field, message]) => {
  const { value, problems } = readCanary(object);
  expect(value).toBeUndefined();
  const resource = { kind: "Canary", namespace: "demo", name: "shop" };
  expect(problems.filter(({ severity }) => severity === undefined)).toEqual([{ resource, field, message }]);
});
