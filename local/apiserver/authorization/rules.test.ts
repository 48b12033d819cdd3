import { describe, expect, test } from "vitest";
import type { Attributes } from "./authorize.ts";
import { isSubject, ruleAllows } from "./rules.ts";

const get = (
  resource: string,
  more: Partial<Extract<Attributes, { kind: "resource" }>> = {},
): Attributes => ({
  kind: "resource",
  verb: "get",
  group: "apps",
  resource,
  subresource: undefined,
  namespace: "shop",
  name: "web",
  ...more,
});
const rule = (more: object) => ({ verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"], ...more });

describe("a rule", () => {
  test.for<[object, Attributes, boolean]>([
    [{}, get("deployments"), true],
    [{}, get("deployments", { verb: "list" }), false],
    [{ verbs: ["*"] }, get("deployments", { verb: "list" }), true],
    [{}, get("deployments", { group: "" }), false],
    [{ apiGroups: ["*"] }, get("deployments", { group: "" }), true],
    [{}, get("deployments", { subresource: "scale" }), false],
    [{ resources: ["deployments/scale"] }, get("deployments", { subresource: "scale" }), true],
    [{ resources: ["*/scale"] }, get("replicasets", { subresource: "scale" }), true],
    [{ resources: ["*/scale"] }, get("replicasets"), false],
    [{ resources: ["*"] }, get("replicasets", { subresource: "status" }), true],
    [{ resourceNames: ["web"] }, get("deployments"), true],
    [{ resourceNames: ["other"] }, get("deployments"), false],
    [{ resourceNames: ["web"] }, get("deployments", { name: undefined }), false],
    [{ nonResourceURLs: ["/metrics"] }, { kind: "path", verb: "get", path: "/metrics" }, true],
    [{ nonResourceURLs: ["/apis/*"] }, { kind: "path", verb: "get", path: "/apis/apps" }, true],
    [{ nonResourceURLs: ["/apis/*"] }, { kind: "path", verb: "get", path: "/version" }, false],
  ])("%j of %j: %s", ([more, asked, allowed]) => {
    expect(ruleAllows(rule(more), asked)).toBe(allowed);
  });
});

describe("a subject", () => {
  const robot = {
    username: "system:serviceaccount:shop:robot",
    groups: ["system:serviceaccounts", "system:authenticated"],
  };
  test.for<[object, string | undefined, boolean]>([
    [{ kind: "User", name: "system:serviceaccount:shop:robot" }, undefined, true],
    [{ kind: "User", name: "robot" }, undefined, false],
    [{ kind: "Group", name: "system:serviceaccounts" }, undefined, true],
    [{ kind: "Group", name: "system:masters" }, undefined, false],
    [{ kind: "ServiceAccount", name: "robot", namespace: "shop" }, undefined, true],
    [{ kind: "ServiceAccount", name: "robot", namespace: "bank" }, "shop", false],
    [{ kind: "ServiceAccount", name: "robot" }, "shop", true],
    [{ kind: "ServiceAccount", name: "robot" }, undefined, false],
  ])("%j bound in %s: %s", ([subject, namespace, is]) => {
    expect(isSubject(subject, robot, namespace)).toBe(is);
  });
});
