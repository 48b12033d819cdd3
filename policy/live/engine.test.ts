import { expect, test } from "vitest";
import type { AuthorizationPolicy } from "../../api/kinds.ts";
import { defaultMesh } from "../compile/mesh.ts";
import type { PolicyRequest } from "../evaluate/request.ts";
import { PolicyEngine } from "./engine.ts";

const workload = { namespace: "foo", labels: { app: "httpbin" } };

function policy(name: string, spec: object, annotations?: Record<string, string>): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: "foo", ...(annotations && { annotations }) },
    spec,
  };
}

const paths = (...values: string[]) => [{ to: [{ operation: { paths: values } }] }];

function get(path: string, host = "httpbin"): PolicyRequest {
  return {
    protocol: "http",
    method: "GET",
    path,
    host,
    headers: new Map(),
    sourceIp: "10.1.0.1",
    remoteIp: "10.1.0.1",
    identities: undefined,
    sni: "",
    destination: { ip: "10.1.0.2", port: 8080 },
    claims: undefined,
  };
}

test("a policy is in force from when it is put until it is removed", () => {
  const engine = new PolicyEngine(workload, defaultMesh);
  const asked = (path: string) => engine.evaluate(get(path));
  expect(asked("/admin").decision).toBe("allow");

  engine.put(policy("no-admin", { action: "DENY", rules: paths("/admin*") }));
  expect(asked("/admin/x")).toMatchObject({ decision: "deny", matched: "ns[foo]-policy[no-admin]-rule[0]" });

  engine.put(policy("some", { rules: paths("/a*", "/b") }));
  expect(["/a", "/b", "/c", "/admin"].map((path) => asked(path).decision)).toEqual([
    "allow",
    "allow",
    "deny",
    "deny",
  ]);

  engine.remove("foo", "no-admin");
  expect(asked("/admin").decision).toBe("allow");
  engine.remove("foo", "some");
  expect(asked("/c").decision).toBe("allow");
});

test("a changed policy takes the place of the old one, whatever its action was", () => {
  const engine = new PolicyEngine(workload, defaultMesh);
  engine.put(policy("one", { action: "DENY", rules: paths("/x", "/y") }));
  engine.put(policy("one", { action: "ALLOW", rules: paths("/x") }));
  expect(engine.evaluate(get("/x")).decision).toBe("allow");
  expect(engine.evaluate(get("/y"))).toMatchObject({ decision: "deny", refusedBy: "allow" });

  engine.put(policy("one", { selector: { matchLabels: { app: "other" } }, rules: paths("/x") }));
  expect(engine.evaluate(get("/y")).decision).toBe("allow");
});

test("an ALLOW policy without a rule lets nobody in, and a dry run changes no verdict", () => {
  const engine = new PolicyEngine(workload, defaultMesh);
  engine.put(policy("later", { rules: paths("/x") }, { "istio.io/dry-run": "true" }));
  expect(engine.evaluate(get("/y"))).toMatchObject({
    decision: "allow",
    dryRun: { allow: { result: "denied", matched: null } },
  });
  engine.put(policy("nobody", {}));
  expect(engine.evaluate(get("/x")).decision).toBe("deny");
});

test("what cannot be understood is said, and fails closed", () => {
  const engine = new PolicyEngine(workload, defaultMesh);
  const problems = engine.put(policy("typo", { rules: [{ to: [{ operation: { ports: ["http"] } }] }] }));
  expect(problems).toMatchObject([{ field: "/spec/rules/0/to/0/operation/ports/0" }]);
  expect(engine.evaluate(get("/")).decision).toBe("deny");
});

test("prefixes, suffixes and whole texts of all lengths are found, hosts in any case", () => {
  const engine = new PolicyEngine(workload, defaultMesh);
  engine.put(policy("a", { rules: paths("/é*", "*/end", "/exact", "/v1/{*}/tail", "/v2/{**}") }));
  engine.put(policy("b", { rules: [{ to: [{ operation: { hosts: ["*.Example.com", "api.*"] } }] }] }));
  const allowed = (path: string, host?: string) => engine.evaluate(get(path, host)).decision === "allow";
  expect(
    ["/été", "/x/end", "/exact", "/v1/7/tail", "/v2/", "/v2/a/b"].filter((path) => !allowed(path)),
  ).toEqual([]);
  expect(["/e", "/end/x", "/exactly", "/v1//tail", "/v1/7/8/tail"].filter((path) => allowed(path))).toEqual(
    [],
  );
  expect(allowed("/", "WWW.example.COM")).toBe(true);
  expect(allowed("/", "API.test")).toBe(true);
  expect(allowed("/", "example.com")).toBe(false);
});
