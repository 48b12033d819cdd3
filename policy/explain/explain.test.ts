import { expect, test } from "vitest";
import type { AuthorizationPolicy } from "../../api/kinds.ts";
import { compilePolicies } from "../compile/compile.ts";
import { defaultMesh } from "../compile/mesh.ts";
import type { PolicyRequest } from "../evaluate/request.ts";
import { explainVerdict, wordMiss } from "./explain.ts";

function policy(name: string, spec: object): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "shop" },
    spec,
  };
}

function explain(policies: readonly AuthorizationPolicy[], changes: Partial<PolicyRequest>) {
  const { policy: compiled } = compilePolicies(
    { authorization: policies, authentication: [] },
    { namespace: "shop", labels: {} },
    defaultMesh,
  );
  return explainVerdict(compiled, {
    protocol: "http",
    method: "GET",
    path: "/orders?x=1",
    host: "orders",
    headers: new Map([["x-team", ["b"]]]),
    sourceIp: "10.1.0.1",
    remoteIp: "10.1.0.1",
    identities: ["spiffe://cluster.local/ns/web/sa/front"],
    sni: "",
    destination: { ip: "10.1.0.2", port: 8080 },
    claims: undefined,
    ...changes,
  });
}

const orders = policy("orders", {
  rules: [
    {
      to: [{ operation: { paths: ["/admin"], methods: ["PUT"] } }],
      from: [{ source: { namespaces: ["ops"] } }],
    },
    {
      from: [{ source: { principals: ["cluster.local/ns/web/sa/front"] } }],
      to: [{ operation: { paths: ["/orders*"], methods: ["GET", "HEAD"] } }],
      when: [{ key: "request.headers[x-team]", notValues: ["a"] }],
    },
  ],
});

test("the rule that let a request in is named", () => {
  expect(explain([orders], {}).because).toBe(
    "ALLOW rule `ns[shop]-policy[orders]-rule[1]` matches, and no DENY rule does",
  );
  expect(explain([], {}).because).toBe("no DENY rule matches, and there is no ALLOW policy");
});

test.for([
  [{ method: "POST" }, ["methods: wants GET or HEAD, got POST"]],
  [{ identities: undefined }, ["principals: wants cluster.local/ns/web/sa/front, got no client certificate"]],
  [
    { headers: new Map([["x-team", ["a"]]]), path: "/x" },
    ["paths: wants /orders*, got /x", "request.headers[x-team]: must not be a, got a"],
  ],
] as const)("the nearest rule tells what it lacked: %j", ([changes, wanted]) => {
  const { nearest, verdict } = explain([orders], changes);
  expect(verdict.decision).toBe("deny");
  expect([nearest?.rule, nearest?.misses.map(wordMiss)]).toEqual(["ns[shop]-policy[orders]-rule[1]", wanted]);
});

test("a DENY rule that matched needs no nearest one", () => {
  const no = policy("no", { action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"] } }] }] });
  expect(explain([orders, no], {})).toMatchObject({
    because: "DENY rule `ns[shop]-policy[no]-rule[0]` matches",
    nearest: undefined,
  });
  expect(explain([policy("nobody", {})], {}).because).toBe(
    "ALLOW policies are in force and have no rule, so nobody is let in",
  );
});
