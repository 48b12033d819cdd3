import type { AuthorizationPolicy } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { any, type Predicate, type Rule } from "../model.ts";
import { compileCondition, readConditionKey } from "./condition.ts";
import type { CompileField } from "./field.ts";
import type { MeshSettings } from "./mesh.ts";
import { compileOperation } from "./operation.ts";
import { compileSource } from "./source.ts";

/** HTTP knows all fields; a TCP connection has no request. */
export type Protocol = "http" | "tcp";

/**
 * What a part that cannot be understood does to its rule. `drop`: the whole rule goes, so it lets nobody in
 * (ALLOW). `widen`: the part goes, so the rule catches more (DENY, AUDIT, CUSTOM).
 */
export type OnUnreadable = "drop" | "widen";

type PolicyRule = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>[number];

/** Thrown inside this file: a rule of ALLOW that cannot be understood in full. */
class Unreadable extends Error {}

/** The rules of one policy in the model, and what in them cannot be carried out. */
export function compileRules(
  policy: AuthorizationPolicy,
  onUnreadable: OnUnreadable,
  mesh: MeshSettings,
  protocol: Protocol,
  prefix = "",
): { readonly rules: Rule[]; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const namespace = policy.metadata.namespace ?? "default";
  const unreadable = (field: string, message: string): void => {
    problems.push({ resource: refOf(policy), field, message });
    if (onUnreadable === "drop") throw new Unreadable(message);
  };
  const compile: CompileField = (object, field, pointer) => {
    const values = (name: keyof typeof object & string) => readValues(object, name);
    const predicates = (name: keyof typeof object & string): Predicate[] => {
      if (field.http && protocol === "tcp") {
        // A connection has no such field: an ALLOW rule with it lets nobody in, a DENY rule does without it.
        if (onUnreadable === "drop" && values(name).length > 0) throw new Unreadable("http only");
        return [];
      }
      return values(name).flatMap((value, index) => {
        const predicate = field.read(value, { mesh, namespace });
        if (predicate === undefined)
          unreadable(`${pointer}/${name}/${index}`, `\`${value}\` cannot be understood here`);
        return predicate ?? [];
      });
    };
    return both(predicates(field.name), predicates(field.not));
  };
  const rules = (policy.spec?.rules ?? []).flatMap((rule, index): Rule[] => {
    if (rule === null || typeof rule !== "object") return [];
    try {
      const id = `${prefix}ns[${namespace}]-policy[${policy.metadata.name}]-rule[${index}]`;
      return [{ id, ...compileRule(rule, `/spec/rules/${index}`, compile, unreadable) }];
    } catch (error) {
      if (error instanceof Unreadable) return [];
      throw error;
    }
  });
  return { rules, problems };
}

function compileRule(
  rule: PolicyRule,
  pointer: string,
  compile: CompileField,
  unreadable: (field: string, message: string) => void,
): Pick<Rule, "source" | "operation"> {
  const about = { source: [] as Predicate[], operation: [] as Predicate[] };
  for (const [at, when] of (rule.when ?? []).entries()) {
    const key = readConditionKey(when.key);
    if (key === undefined) {
      unreadable(`${pointer}/when/${at}/key`, `\`${when.key}\` is no key of a condition`);
      continue;
    }
    about[key.about].push(...compileCondition(when, key, `${pointer}/when/${at}`, compile));
  }
  const from = (rule.from ?? []).map((each, at) =>
    allOf(compileSource(each?.source ?? {}, `${pointer}/from/${at}/source`, compile)),
  );
  const to = (rule.to ?? []).map((each, at) =>
    allOf(compileOperation(each?.operation ?? {}, `${pointer}/to/${at}/operation`, compile)),
  );
  return {
    source: allOf([...(from.length > 0 ? [someOf(from)] : []), ...about.source]),
    operation: allOf([...(to.length > 0 ? [someOf(to)] : []), ...about.operation]),
  };
}

function readValues(object: object, name: string): string[] {
  const values: unknown = Reflect.get(object, name);
  return Array.isArray(values) ? values.map(String) : [];
}

function both(values: readonly Predicate[], notValues: readonly Predicate[]): Predicate[] {
  return [
    ...(values.length > 0 ? [someOf(values)] : []),
    ...(notValues.length > 0 ? [{ kind: "not", of: someOf(notValues) } as const] : []),
  ];
}

function allOf(of: readonly Predicate[]): Predicate {
  const needed = of.filter(({ kind }) => kind !== "any");
  const [only] = needed;
  if (only === undefined) return any;
  return needed.length === 1 ? only : { kind: "all", of: needed };
}

function someOf(of: readonly Predicate[]): Predicate {
  const [only] = of;
  if (of.some(({ kind }) => kind === "any")) return any;
  return of.length === 1 && only ? only : { kind: "some", of };
}
