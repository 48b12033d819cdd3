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
    const values = (name: keyof typeof object & string) =>
      readList(object, name, pointer, unreadable).map(String);
    const predicates = (name: keyof typeof object & string): Predicate[] => {
      if (field.http && protocol === "tcp") {
        // A connection has no such field: an ALLOW rule with it lets nobody in, a DENY rule does without it.
        if (onUnreadable === "drop" && values(name).length > 0) throw new Unreadable("http only");
        return [];
      }
      return readList(object, name, pointer, unreadable).flatMap((each, index) => {
        const value = String(each);
        const isText = typeof each !== "object";
        const predicate = isText ? field.read(value, { mesh, namespace }) : undefined;
        if (predicate === undefined)
          unreadable(`${pointer}/${name}/${index}`, `\`${value}\` cannot be understood here`);
        return predicate ?? [];
      });
    };
    return both(predicates(field.name), predicates(field.not));
  };
  const idOf = (index: number) => `${prefix}ns[${namespace}]-policy[${policy.metadata.name}]-rule[${index}]`;
  const carefully = (index: number, field: string, make: () => Rule[]): Rule[] => {
    try {
      return make();
    } catch (error) {
      if (error instanceof Unreadable) return [];
      // An object of a shape that no schema allows: closed, and no other policy suffers.
      problems.push({ resource: refOf(policy), field, message: "cannot be understood" });
      return onUnreadable === "drop" ? [] : [{ id: idOf(index), source: any, operation: any }];
    }
  };
  const rules = carefully(0, "/spec/rules", () =>
    asArray<PolicyRule | null>(policy.spec?.rules).flatMap((rule, index) =>
      carefully(index, `/spec/rules/${index}`, () => {
        if (rule === null) return [];
        return [{ id: idOf(index), ...compileRule(rule, `/spec/rules/${index}`, compile, unreadable) }];
      }),
    ),
  );
  return { rules, problems };
}

/** A list that may be left out. @throws TypeError for anything else */
function asArray<T>(value: readonly T[] | undefined): readonly T[] {
  const given: unknown = value ?? [];
  if (!Array.isArray(given)) throw new TypeError("no list");
  return given as readonly T[];
}

/** An object that may be left out. @throws TypeError for anything else */
function asObject<T extends object>(value: T | null | undefined, otherwise: T): T {
  const given: unknown = value ?? otherwise;
  if (typeof given !== "object" || Array.isArray(given)) throw new TypeError("no object");
  return given as T;
}

function compileRule(
  rule: PolicyRule,
  pointer: string,
  compile: CompileField,
  unreadable: (field: string, message: string) => void,
): Pick<Rule, "source" | "operation"> {
  const about = { source: [] as Predicate[], operation: [] as Predicate[] };
  asObject<PolicyRule>(rule, {});
  for (const [at, when] of asArray(rule.when).entries()) {
    const key = readConditionKey(when.key);
    if (key === undefined) {
      unreadable(`${pointer}/when/${at}/key`, `\`${when.key}\` is no key of a condition`);
      continue;
    }
    about[key.about].push(...compileCondition(when, key, `${pointer}/when/${at}`, compile));
  }
  const from = asArray(rule.from).map((each, at) =>
    allOf(compileSource(asObject(each?.source, {}), `${pointer}/from/${at}/source`, compile)),
  );
  const to = asArray(rule.to).map((each, at) =>
    allOf(compileOperation(asObject(each?.operation, {}), `${pointer}/to/${at}/operation`, compile)),
  );
  return {
    source: allOf([...(from.length > 0 ? [someOf(from)] : []), ...about.source]),
    operation: allOf([...(to.length > 0 ? [someOf(to)] : []), ...about.operation]),
  };
}

/** The values of a field; one that is no list cannot be read. */
function readList(
  object: object,
  name: string,
  pointer: string,
  unreadable: (field: string, message: string) => void,
): readonly unknown[] {
  const values: unknown = Reflect.get(object, name);
  if (values === undefined || values === null) return [];
  if (Array.isArray(values)) return values;
  unreadable(`${pointer}/${name}`, "must be a list");
  return [];
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
