/** RBAC rules: who a binding is for, and what a role lets them do. */
import type { User } from "../authentication/user.ts";
import { listAt, textAt } from "../json.ts";
import type { Attributes } from "./authorize.ts";

const has = (rule: unknown, field: string, value: string): boolean =>
  listAt(rule, field).some((item) => item === "*" || item === value);

/** Whether one rule of a role allows the request. */
export function ruleAllows(rule: unknown, asked: Attributes): boolean {
  if (!has(rule, "verbs", asked.verb)) return false;
  if (asked.kind === "path")
    return listAt(rule, "nonResourceURLs").some((url) => urlMatches(String(url), asked.path));
  const names = listAt(rule, "resourceNames");
  return (
    has(rule, "apiGroups", asked.group) &&
    resourceMatches(rule, asked.resource, asked.subresource ?? "") &&
    (names.length === 0 || (asked.name !== undefined && names.includes(asked.name)))
  );
}

function urlMatches(pattern: string, path: string): boolean {
  return (
    pattern === "*" || pattern === path || (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)))
  );
}

function resourceMatches(rule: unknown, resource: string, subresource: string): boolean {
  const full = subresource === "" ? resource : `${resource}/${subresource}`;
  return listAt(rule, "resources").some(
    (item) => item === "*" || item === full || (subresource !== "" && item === `*/${subresource}`),
  );
}

/** Whether a subject of a binding is this user; `namespace` is the binding's own. */
export function isSubject(subject: unknown, user: User, namespace: string | undefined): boolean {
  const name = textAt(subject, "name") ?? "";
  switch (textAt(subject, "kind")) {
    case "User":
      return user.username === name;
    case "Group":
      return user.groups.includes(name);
    case "ServiceAccount": {
      const home = textAt(subject, "namespace") ?? namespace ?? "";
      return home !== "" && user.username === `system:serviceaccount:${home}:${name}`;
    }
    default:
      return false;
  }
}

/** A subject as Kubernetes names it in its reasons. */
export function describeSubject(subject: unknown, namespace: string | undefined): string {
  const name = textAt(subject, "name") ?? "";
  const kind = textAt(subject, "kind") ?? "";
  if (kind !== "ServiceAccount") return `${kind} ${JSON.stringify(name)}`;
  return `ServiceAccount ${JSON.stringify(`${name}/${textAt(subject, "namespace") ?? namespace ?? ""}`)}`;
}
