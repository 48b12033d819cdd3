/**
 * Nobody grants by a role, or by a binding to one, what they may not do themselves.
 *
 * @see k8s.io/component-helpers/auth/rbac/validation, `escalate` and `bind` in Kubernetes' RBAC documentation
 */
import type { User } from "../authentication/user.ts";
import type { Target } from "../context.ts";
import { equalJson, listAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import { forbidden } from "../status.ts";
import type { Store } from "../storage/store.ts";
import { authorize, rulesOf } from "./authorize.ts";

const rbacGroup = "rbac.authorization.k8s.io";

/** Throws 403 where `user` writes a role or a binding that grants more than they have. */
export function checkEscalation(
  store: Store,
  user: User,
  { resource }: Target,
  object: ApiObject,
  old: ApiObject | undefined,
): void {
  if (resource.group !== rbacGroup || user.groups.includes("system:masters")) return;
  const { namespace, name } = object.metadata;
  const binding = resource.plural.endsWith("bindings");
  if (old !== undefined && sameGrant(old, object, binding)) return;
  const verb = binding ? "bind" : "escalate";
  const roleKind = binding ? textAt(object, "roleRef", "kind") : object.kind;
  const roleName = binding ? (textAt(object, "roleRef", "name") ?? "") : name;
  const allowed = authorize(store, user, {
    kind: "resource",
    verb,
    group: rbacGroup,
    resource: roleKind === "ClusterRole" ? "clusterroles" : "roles",
    subresource: undefined,
    namespace,
    name: roleName,
  }).allowed;
  if (allowed) return;
  const granted = binding ? rulesOfRole(store, roleKind, namespace, roleName) : listAt(object, "rules");
  const missing: string[] = [];
  const owned = [...rulesOf(store, user, namespace, [])].flatMap(({ rules }) => rules);
  for (const rule of granted.flatMap(singleRules))
    if (!owned.some((own) => covers(own, rule))) missing.push(showRule(rule));
  if (missing.length === 0) return;
  const groups = user.groups.map((group) => JSON.stringify(group)).join(" ");
  throw forbidden(
    resource,
    name,
    `user ${JSON.stringify(user.username)} (groups=[${groups}]) is attempting to grant RBAC permissions not currently held:\n${missing.join("\n")}`,
  );
}

function sameGrant(old: ApiObject, object: ApiObject, binding: boolean): boolean {
  const fields = binding ? ["roleRef", "subjects"] : ["rules", "aggregationRule"];
  return fields.every((field) => equalJson(old[field], object[field]));
}

function rulesOfRole(
  store: Store,
  kind: string | undefined,
  namespace: string | undefined,
  name: string,
): readonly unknown[] {
  const role =
    kind === "ClusterRole"
      ? store.get(`clusterroles.${rbacGroup}`, undefined, name)
      : store.get(`roles.${rbacGroup}`, namespace, name);
  return listAt(role?.object, "rules");
}

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
  readonly verbs: readonly string[];
}

const textsAt = (rule: unknown, field: string): string[] => listAt(rule, field).map(String);

/** A rule taken apart: one for each group and resource, with all its verbs. */
function singleRules(rule: unknown): Rule[] {
  const verbs = textsAt(rule, "verbs");
  const resourceNames = textsAt(rule, "resourceNames");
  const none = { apiGroups: [], resources: [], resourceNames: [], nonResourceURLs: [] };
  return [
    ...textsAt(rule, "apiGroups").flatMap((group) =>
      textsAt(rule, "resources").map((resource) => ({
        ...none,
        apiGroups: [group],
        resources: [resource],
        resourceNames,
        verbs,
      })),
    ),
    ...textsAt(rule, "nonResourceURLs").map((url) => ({ ...none, nonResourceURLs: [url], verbs })),
  ];
}

function covers(own: unknown, wanted: Rule): boolean {
  const all = (field: string, values: readonly string[]) => {
    const held = textsAt(own, field);
    return held.includes("*") || values.every((value) => held.includes(value));
  };
  if (!all("verbs", wanted.verbs)) return false;
  if (wanted.nonResourceURLs.length > 0) {
    const held = textsAt(own, "nonResourceURLs");
    return wanted.nonResourceURLs.every((url) =>
      held.some(
        (pattern) => pattern === url || (pattern.endsWith("*") && url.startsWith(pattern.slice(0, -1))),
      ),
    );
  }
  const names = textsAt(own, "resourceNames");
  return (
    all("apiGroups", wanted.apiGroups) &&
    (all("resources", wanted.resources) || wanted.resources.every((each) => heldByPart(own, each))) &&
    (names.length === 0 ||
      (wanted.resourceNames.length > 0 && wanted.resourceNames.every((name) => names.includes(name))))
  );
}

/** A rule for a subresource of everything (`*` before the slash). */
function heldByPart(own: unknown, resource: string): boolean {
  const slash = resource.indexOf("/");
  return slash >= 0 && textsAt(own, "resources").includes(`*${resource.slice(slash)}`);
}

function showRule(rule: Rule): string {
  const shown = (values: readonly string[]) => `[${values.map((value) => JSON.stringify(value)).join(" ")}]`;
  const parts = [
    ["APIGroups", rule.apiGroups],
    ["Resources", rule.resources],
    ["ResourceNames", rule.resourceNames],
    ["NonResourceURLs", rule.nonResourceURLs],
    ["Verbs", rule.verbs],
  ] as const;
  return `{${parts
    .filter(([, values]) => values.length > 0)
    .map(([name, values]) => `${name}:${shown(values)}`)
    .join(", ")}}`;
}
