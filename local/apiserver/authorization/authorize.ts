import type { User } from "../authentication/user.ts";
import { listAt, textAt } from "../json.ts";
import type { ApiObject } from "../object.ts";
import type { Store } from "../storage/store.ts";
import { describeSubject, isSubject, ruleAllows } from "./rules.ts";

/** What somebody wants to do, in the words of RBAC. */
export type Attributes =
  | {
      readonly kind: "resource";
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string | undefined;
      readonly namespace: string | undefined;
      readonly name: string | undefined;
    }
  | { readonly kind: "path"; readonly verb: string; readonly path: string };

export interface Verdict {
  readonly allowed: boolean;
  readonly reason: string;
}

const suffix = "rbac.authorization.k8s.io";

/** Decides by the stored roles and bindings whether `user` may do it. The group system:masters may do everything. */
export function authorize(store: Store, user: User, asked: Attributes): Verdict {
  if (user.groups.includes("system:masters")) return { allowed: true, reason: "" };
  const missing: string[] = [];
  for (const { binding, rules, role } of rulesOf(store, user, namespaceOf(asked), missing)) {
    if (rules.some((rule) => ruleAllows(rule, asked)))
      return { allowed: true, reason: `RBAC: allowed by ${describeBinding(binding, role, user)}` };
  }
  return { allowed: false, reason: missing.length === 0 ? "" : `RBAC: ${joined(missing)}` };
}

function joined(texts: readonly string[]): string {
  return texts.length === 1 ? (texts[0] ?? "") : `[${texts.join(", ")}]`;
}

function namespaceOf(asked: Attributes): string | undefined {
  return asked.kind === "resource" ? asked.namespace : undefined;
}

interface Grant {
  readonly binding: ApiObject;
  /** e.g. `ClusterRole "view"` */
  readonly role: string;
  readonly rules: readonly unknown[];
}

/**
 * Every role that a user has: by cluster bindings, and by the bindings of a namespace.
 *
 * @param missing gets a text for each role that a binding names and that does not exist
 */
export function* rulesOf(
  store: Store,
  user: User,
  namespace: string | undefined,
  missing: string[],
): Generator<Grant> {
  const bindings = store.list(`clusterrolebindings.${suffix}`);
  if (namespace !== undefined && namespace !== "")
    bindings.push(...store.list(`rolebindings.${suffix}`, namespace));
  for (const { object: binding } of bindings) {
    const home = binding.metadata.namespace;
    if (!listAt(binding, "subjects").some((subject) => isSubject(subject, user, home))) continue;
    const kind = textAt(binding, "roleRef", "kind") ?? "";
    const name = textAt(binding, "roleRef", "name") ?? "";
    const role =
      kind === "ClusterRole"
        ? store.get(`clusterroles.${suffix}`, undefined, name)
        : store.get(`roles.${suffix}`, home, name);
    if (role === undefined) missing.push(`${kind.toLowerCase()}.${suffix} ${JSON.stringify(name)} not found`);
    else yield { binding, role: `${kind} ${JSON.stringify(name)}`, rules: listAt(role.object, "rules") };
  }
}

function describeBinding(binding: ApiObject, role: string, user: User): string {
  const { name, namespace } = binding.metadata;
  const subject = listAt(binding, "subjects").find((item) => isSubject(item, user, namespace));
  const named = namespace === undefined ? name : `${name}/${namespace}`;
  return `${binding.kind} ${JSON.stringify(named)} of ${role} to ${describeSubject(subject, namespace)}`;
}

/** The text behind `… is forbidden: `. */
export function refusalText(user: User, asked: Attributes, { reason }: Verdict): string {
  const who = `User ${JSON.stringify(user.username)} cannot ${asked.verb}`;
  const why = reason === "" ? "" : `: ${reason}`;
  if (asked.kind === "path") return `${who} path ${JSON.stringify(asked.path)}${why}`;
  const { resource, subresource, group, namespace } = asked;
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where =
    namespace === undefined || namespace === ""
      ? "at the cluster scope"
      : `in the namespace ${JSON.stringify(namespace)}`;
  return `${who} resource ${JSON.stringify(full)} in API group ${JSON.stringify(group)} ${where}${why}`;
}
