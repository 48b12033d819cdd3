import { expect, test } from "vitest";
import type { AuthorizationPolicy } from "../../api/kinds.ts";
import { compilePolicies } from "../compile/compile.ts";
import { defaultMesh, type MeshSettings } from "../compile/mesh.ts";
import { decider } from "../edge/decide.ts";
import type { WireRequest } from "../edge/receive.ts";
import { explainDecision, wordMiss } from "./explain.ts";
import { readRuleId } from "./rule-id.ts";

function policy(name: string, spec: object): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "shop" },
    spec,
  };
}

const provider = { name: "gate", envoyExtAuthzHttp: { service: "gate.shop.svc.cluster.local", port: "80" } };

function explain(
  policies: readonly AuthorizationPolicy[],
  changes: Partial<WireRequest> = {},
  { mesh = defaultMesh, answer = 200 }: { readonly mesh?: MeshSettings; readonly answer?: number } = {},
) {
  const { policy: compiled } = compilePolicies(
    { authorization: policies, authentication: [] },
    { namespace: "shop", labels: {} },
    mesh,
  );
  const wire: WireRequest = {
    protocol: "http",
    method: "GET",
    target: "/orders?key=hidden",
    headers: [
      ["host", "orders"],
      ["x-team", "b"],
    ],
    sourceIp: "10.1.0.1",
    identities: ["spiffe://cluster.local/ns/web/sa/front", ""],
    sni: "",
    destination: { ip: "10.1.0.2", port: 8080 },
    gateway: undefined,
    ...changes,
  };
  const decision = decider(compiled, mesh.pathNormalization)(wire, { now: 0, ask: () => answer });
  return { decision, ...explainDecision(compiled, decision) };
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
  expect(explain([orders]).because).toBe(
    "ALLOW rule `ns[shop]-policy[orders]-rule[1]` matches, and no DENY rule does",
  );
  expect(explain([]).because).toBe("no DENY rule matches, and there is no ALLOW policy");
});

test.for([
  [{ method: "POST" }, ["methods: wants GET or HEAD, got POST"]],
  [{ identities: undefined }, ["principals: wants cluster.local/ns/web/sa/front, got no client certificate"]],
  [
    {
      target: "/x?key=hidden",
      headers: [
        ["host", "orders"],
        ["x-team", "a"],
      ],
    },
    ["paths: wants /orders*, got /x", "request.headers[x-team]: must not be a, got a"],
  ],
] as const)("the nearest rule tells what it lacked: %j", ([changes, wanted]) => {
  const { nearest, decision } = explain([orders], changes);
  expect(decision.decision).toBe("deny");
  expect([nearest?.rule, nearest?.misses.map(wordMiss)]).toEqual(["ns[shop]-policy[orders]-rule[1]", wanted]);
});

test("no explanation holds a secret: queries and headers that carry one are not shown", () => {
  const wantsKey = policy("key", {
    rules: [
      {
        to: [{ operation: { paths: ["/other"] } }],
        when: [{ key: "request.headers[authorization]", values: ["Bearer good"] }],
      },
    ],
  });
  const said = explain([wantsKey], {
    headers: [
      ["host", "orders"],
      ["authorization", "Bearer hidden"],
    ],
  });
  expect(said.nearest?.misses.map(({ field }) => field)).toEqual(["paths", "request.headers[authorization]"]);
  expect(JSON.stringify([said.because, said.nearest])).not.toContain("hidden");
});

test("a DENY rule that matched needs no nearest one", () => {
  const no = policy("no", { action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"] } }] }] });
  expect(explain([orders, no])).toMatchObject({
    because: "DENY rule `ns[shop]-policy[no]-rule[0]` matches",
    nearest: undefined,
  });
  expect(explain([policy("nobody", {})]).because).toBe(
    "ALLOW policies are in force and have no rule, so nobody is let in",
  );
});

test("what refused before any policy is named: the proxy, an authorizer, one that cannot be asked", () => {
  expect(explain([], { target: "/a#b" }).because).toBe(
    "the proxy refuses it before any policy: path_normalization_failed",
  );
  expect(
    explain([], { target: "/a;b" }, { mesh: { ...defaultMesh, pathNormalization: "STRICT" } }),
  ).toMatchObject({ decision: { decision: "allow" } });
  expect(
    explain([], { target: "/a/%2e%2e;/b" }, { mesh: { ...defaultMesh, pathNormalization: "STRICT" } })
      .because,
  ).toBe("path normalization STRICT refuses its path or host, before any policy");
  const gated = policy("gated", { action: "CUSTOM", provider: { name: "gate" }, rules: [{}] });
  const mesh = { ...defaultMesh, extensionProviders: [provider] };
  expect(explain([gated], {}, { mesh, answer: 401 }).because).toMatch(
    /^CUSTOM rule `.*ns\[shop\]-policy\[gated\]-rule\[0\]` matches, and external authorizer `gate` answered 401$/,
  );
  expect(explain([gated], {}, { mesh }).decision.decision).toBe("allow");
  expect(explain([gated]).because).toMatch(/its external authorizer `gate` cannot be asked$/);
});

test("an id names its policy and the rule in it", () => {
  expect(readRuleId("ns[shop]-policy[a.b-c]-rule[12]")).toEqual({
    namespace: "shop",
    policy: "a.b-c",
    index: 12,
  });
  expect(readRuleId("istio-ext-authz-gate-ns[shop]-policy[gated]-rule[0]")?.policy).toBe("gated");
  expect(readRuleId("none")).toBeUndefined();
});
