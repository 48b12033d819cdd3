/** `fairlead authz` and `fairlead explain denial` on manifests: what is in force, what is decided, and why. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KeyRing, makeToken } from "../../policy/cases/token.ts";
import { type AnswerOptions, answerQuestion, wordAnswer } from "./answer.ts";
import { explainDenial, wordDenial } from "./denial-explanation.ts";
import { readDenial } from "./denials.ts";
import { policiesInForce } from "./in-force.ts";
import { readScopeFiles, type Scope } from "./scope.ts";
import { findTarget, readTargetName } from "./workload.ts";

const keys = new KeyRing();
const issuer = "https://idp.example";
const manifests = `
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop-primary }
spec:
  selector: { matchLabels: { app: shop-primary } }
  template:
    metadata: { labels: { app: shop-primary } }
    spec: { containers: [{ name: main, image: x, ports: [{ containerPort: 8080 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: shop }
spec: { selector: { app: shop-primary }, ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Pod
metadata:
  name: shop-primary-1
  labels: { app: shop-primary, pod-template-hash: abc }
  ownerReferences: [{ apiVersion: apps/v1, kind: ReplicaSet, name: shop-primary-abc, uid: u, controller: true }]
spec: { containers: [{ name: main, image: x }] }
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: { name: shop }
spec: { targetRef: { apiVersion: apps/v1, kind: Deployment, name: shop }, service: { port: 80 } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: shop }
spec:
  selector: { matchLabels: { app: shop } }
  rules:
    - from: [{ source: { principals: [cluster.local/ns/demo/sa/load] } }]
      to: [{ operation: { methods: [GET] } }]
    - when: [{ key: "request.auth.claims[role]", values: [admin] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-admin, namespace: istio-system }
spec:
  action: DENY
  rules: [{ to: [{ operation: { paths: ["/admin*"] } }] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: later, annotations: { istio.io/dry-run: "true" } }
spec: { action: DENY, rules: [{}] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: other }
spec: { selector: { matchLabels: { app: other } }, action: DENY, rules: [{}] }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: tokens }
spec: { jwtRules: [{ issuer: "${issuer}", jwks: '${JSON.stringify({ keys: [keys.jwk({ ref: "rsa", kid: "1" })] })}' }] }
`;

let folder: string;
let scope: Scope;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "fairlead-authz-"));
  writeFileSync(join(folder, "shop.yaml"), manifests);
  scope = readScopeFiles([folder], "demo");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const target = (name: string) => findTarget(scope.snapshot, readTargetName(name, "demo"));
const ask = (options: Partial<AnswerOptions>, of = scope) =>
  answerQuestion(of, target("shop"), {
    method: "GET",
    path: "/",
    header: [],
    sourceIp: "10.0.0.9",
    authorizer: "allow",
    jwksAllow: [],
    ...options,
  });

test("a workload is found by its name, by its pod's and by its Service's, and is told from what is not there", () => {
  expect(
    ["shop-primary", "deploy/shop-primary", "demo/svc/shop", "pod/shop-primary-1"].map(
      (name) => target(name).words,
    ),
  ).toEqual([
    "deployment/shop-primary",
    "deployment/shop-primary",
    "deployment/shop-primary",
    "pod/shop-primary-1",
  ]);
  expect(() => target("nobody")).toThrow(
    "no workload `nobody` in namespace `demo` (there are `deployment/shop-primary`); its pods' labels can be given by --labels",
  );
  expect(() => target("a/b/c/d")).toThrow("names no workload");
});

test("the policies in force come in the order of deciding, with what makes them count", () => {
  const seen = policiesInForce(scope, target("shop")).map(
    ({ action, name, mode, by }) => `${action} ${name} ${mode} ${by}`,
  );
  expect(seen).toEqual([
    "JWT tokens enforced namespace",
    "DENY later dry-run namespace",
    "DENY no-admin enforced mesh",
    "ALLOW shop enforced target",
  ]);
});

test("a Gateway's proxy is under the policies that name it, and believes no forwarded address", async () => {
  const file = join(folder, "gateway.yaml");
  writeFileSync(
    file,
    `
apiVersion: apps/v1
kind: Deployment
metadata: { name: edge, namespace: front }
spec:
  template: { metadata: { labels: { gateway.networking.k8s.io/gateway-name: edge } }, spec: { containers: [{ name: main, image: x }] } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: office, namespace: front }
spec:
  targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: edge }]
  rules: [{ from: [{ source: { remoteIpBlocks: [10.9.0.0/16] } }] }]
`,
  );
  const files = readScopeFiles([file], "front");
  rmSync(file);
  const edge = findTarget(files.snapshot, readTargetName("front/edge", "demo"));
  expect(policiesInForce(files, edge)).toMatchObject([{ name: "office", by: "gateway" }]);
  const rest = { method: "GET", path: "/", authorizer: "allow", jwksAllow: [] } as const;
  const forged = { ...rest, header: ["x-forwarded-for: 10.9.0.1"], sourceIp: "192.0.2.1" };
  expect((await answerQuestion(files, edge, forged)).decision).toBe("deny");
  expect((await answerQuestion(files, edge, { ...rest, header: [], sourceIp: "10.9.0.1" })).decision).toBe(
    "allow",
  );
});

test("a verdict names the rule that decided", async () => {
  expect(await ask({ from: "demo/load" })).toMatchObject({
    decision: "allow",
    status: 200,
    rule: "ns[demo]-policy[shop]-rule[0]",
    notes: ["dry-run DENY policies would say denied by `ns[demo]-policy[later]-rule[0]`"],
  });
  expect(await ask({ from: "demo/load", path: "/x/../admin/users" })).toMatchObject({
    decision: "deny",
    status: 403,
    because: "DENY rule `ns[istio-system]-policy[no-admin]-rule[0]` matches",
  });
});

test("without a rule that matches, the nearest one says which field failed", async () => {
  const answer = await ask({ from: "demo/load", method: "DELETE" });
  expect(answer.nearest).toEqual({
    rule: "ns[demo]-policy[shop]-rule[0]",
    misses: [{ field: "methods", wanted: ["GET"], negated: false, got: "DELETE" }],
  });
  expect(wordAnswer(answer)).toContain(
    "denied (403): none of the 2 ALLOW rules matches\nnearest: `ns[demo]-policy[shop]-rule[0]`, which lacks\n  methods: wants GET, got DELETE",
  );
});

test("a token is verified, and never said again", async () => {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, sub: "ann", role: "admin", exp: now + 60 };
  const jwt = makeToken({ key: "rsa", header: { alg: "RS256", kid: "1" }, claims }, keys, now);
  const good = await ask({ jwt });
  expect(good).toMatchObject({ decision: "allow", rule: "ns[demo]-policy[shop]-rule[1]" });
  const bad = await ask({ jwt: `${jwt.slice(0, -8)}AAAAAAAA` });
  expect(bad).toMatchObject({ status: 401, because: "its token is refused: Jwt verification fails" });
  for (const answer of [good, bad]) expect(JSON.stringify(answer)).not.toContain(jwt.split(".")[1]);
  writeFileSync(join(folder, "token"), `${jwt}\n`);
  expect((await ask({ jwt: `@${join(folder, "token")}` })).decision).toBe("allow");
  expect((await ask({ claims: '{"role":["admin","x"]}' })).decision).toBe("allow");
});

test("STRICT mutual TLS closes a stranger's connection before any policy", async () => {
  const file = join(folder, "strict.yaml");
  writeFileSync(
    file,
    "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: all }\nspec: { mtls: { mode: STRICT } }\n",
  );
  const strict = readScopeFiles([folder], "demo");
  rmSync(file);
  expect(await ask({}, strict)).toMatchObject({ decision: "deny", status: 0, mutualTls: "STRICT" });
  expect((await ask({ from: "demo/load" }, strict)).decision).toBe("allow");
});

test("a sidecar's line of a denial leads to the rule, or to the one that came nearest", () => {
  const line = (details: string) =>
    JSON.stringify({
      fairlead: "denial",
      time: "2026-01-01T00:00:00.000Z",
      requestId: "abc",
      method: "POST",
      path: "/cart",
      host: "shop",
      status: 403,
      details,
      principal: "spiffe://cluster.local/ns/demo/sa/other",
      source: "10.0.0.9",
      client: "10.0.0.9",
      destination: "10.0.0.2:8080",
    });
  const explain = (details: string) => {
    const denial = readDenial(line(details), "demo", "shop-primary-1");
    if (denial === undefined) throw new Error("no denial was read");
    return explainDenial(denial, scope);
  };
  expect(
    explain("rbac_access_denied_matched_policy[ns[istio-system]-policy[no-admin]-rule[0]]"),
  ).toMatchObject({
    rule: "ns[istio-system]-policy[no-admin]-rule[0]",
    because: "DENY rule `ns[istio-system]-policy[no-admin]-rule[0]` matched",
    notes: ["AuthorizationPolicy istio-system/no-admin, /spec/rules/0"],
  });
  expect(explain("rbac_access_denied_matched_policy[ns[demo]-policy[gone]-rule[0]]").notes).toEqual([
    "AuthorizationPolicy demo/gone is gone by now",
  ]);
  const none = explain("rbac_access_denied_matched_policy[none]");
  expect(none.nearest?.misses.map(({ field }) => field)).toEqual(["request.auth.claims[role]"]);
  expect(wordDenial(none)).toContain("wants admin, got what was not recorded");
  expect(explain("jwt_authn_access_denied{Jwt_is_expired}").because).toBe(
    "its token was refused: Jwt is expired",
  );
  const closed = readDenial(
    JSON.stringify({
      fairlead: "denial",
      time: "2026-01-01T00:00:00.000Z",
      details: "rbac_access_denied_matched_policy[ns[istio-system]-policy[no-admin]-rule[0]]",
      principal: "spiffe://cluster.local/ns/demo/sa/load",
      source: "10.0.0.9",
      destination: "10.0.0.2:9000",
    }),
    "demo",
    "shop-primary-1",
  );
  expect(closed && wordDenial(explainDenial(closed, scope))).toMatch(
    /^denied \(connection closed\): DENY rule `.*no-admin.*` matched\n.*connection to 10.0.0.2:9000\n/,
  );
  expect(readDenial("2026-01-01 warning envoy denial", "demo", "a")).toBeUndefined();
  expect(readDenial('{"denial":', "demo", "a")).toBeUndefined();
});
