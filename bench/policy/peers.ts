/** The same policies in casbin and in Cedar. */
import { preparsePolicySet, statefulIsAuthorized } from "@cedar-policy/cedar-wasm/nodejs";
import { type Enforcer, newEnforcer, newModelFromString, StringAdapter } from "casbin";
import type { Ask } from "./policies.ts";
import { statement } from "./policies.ts";

/** A refusal wins; nothing allows what nobody allows. */
const casbinModel = `
[request_definition]
r = sub, path, method

[policy_definition]
p = sub, path, methods, eft

[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))

[matchers]
m = keyMatch(r.path, p.path) && keyMatch(r.sub, p.sub) && (p.methods == "*" || regexMatch(r.method, p.methods))
`;

/** So many policies in casbin. */
export async function casbin(count: number): Promise<(ask: Ask) => boolean> {
  const lines = Array.from({ length: count }, (_, index) => {
    const { action, principal, namespace, methods, path } = statement(index);
    const sub = principal ?? (namespace ? `cluster.local/ns/${namespace}/*` : "*");
    const wanted = methods.length > 0 ? `^(${methods.join("|")})$` : "*";
    const pattern = "exact" in path ? path.exact : `${path.prefix}*`;
    return `p, ${sub}, ${pattern}, ${wanted}, ${action === "ALLOW" ? "allow" : "deny"}`;
  });
  const enforcer: Enforcer = await newEnforcer(
    newModelFromString(casbinModel),
    new StringAdapter(lines.join("\n")),
  );
  return ({ caller, path, method }) => enforcer.enforceSync(caller, path, method);
}

/** So many policies in Cedar, parsed beforehand. @throws Error where Cedar does not read them */
export function cedar(count: number): (ask: Ask) => boolean {
  const name = `bench-${count}`;
  const answer = preparsePolicySet(name, {
    staticPolicies: Array.from({ length: count }, (_, index) => cedarPolicy(index)).join("\n"),
  });
  if (answer.type !== "success") throw new Error(answer.errors[0]?.message ?? "cedar reads no policies");
  return ({ caller, namespace, method, path }) => {
    const decided = statefulIsAuthorized({
      principal: { type: "Caller", id: caller },
      action: { type: "Action", id: method },
      resource: { type: "Service", id: "orders" },
      context: { namespace, path },
      entities: [],
      preparsedPolicySetId: name,
    });
    return decided.type === "success" && decided.response.decision === "allow";
  };
}

function cedarPolicy(index: number): string {
  const { action, principal, namespace, methods, path } = statement(index);
  const who = principal === undefined ? "principal" : `principal == Caller::"${principal}"`;
  const what =
    methods.length === 0
      ? "action"
      : `action in [${methods.map((method) => `Action::"${method}"`).join(", ")}]`;
  const conditions = [
    "exact" in path ? `context.path == "${path.exact}"` : `context.path like "${path.prefix}*"`,
    ...(namespace ? [`context.namespace == "${namespace}"`] : []),
  ];
  const effect = action === "ALLOW" ? "permit" : "forbid";
  return `${effect}(${who}, ${what}, resource) when { ${conditions.join(" && ")} };`;
}
