import type { AuthorizationPolicy } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { type Action, any, none, type Predicate, type Rule } from "../model.ts";
import { compileCondition } from "./condition.ts";
import type { MeshSettings } from "./mesh.ts";
import { compileOperation } from "./operation.ts";
import { compileSource, type Read } from "./source.ts";

/** HTTP knows all fields; a TCP connection has no request. */
export type Protocol = "http" | "tcp";

interface Field<T> {
  readonly name: keyof T;
  readonly not: keyof T;
  readonly read: Read;
  /** The field exists in HTTP requests only. */
  readonly http?: true;
}

/** One policy's compilation: its context, and what was found wrong. */
export interface Compile {
  readonly mesh: MeshSettings;
  readonly namespace: string;
  readonly protocol: Protocol;
  /** All of an object's fields, any value of each. */
  fields<T extends object>(object: T, fields: readonly Field<T>[], pointer: string): Predicate;
  /**
   * What stands for a part that cannot be understood. It fails closed: in ALLOW it matches nothing, so the
   * rule lets nobody in; elsewhere it is left out, so the rule catches more.
   */
  unreadable(pointer: string, message: string): Predicate;
}

/** The rules of one policy in the model, and what in them cannot be carried out. */
export function compileRules(
  policy: AuthorizationPolicy,
  action: Action,
  mesh: MeshSettings,
  protocol: Protocol,
): { readonly rules: Rule[]; readonly problems: Problem[] } {
  const problems: Problem[] = [];
  const namespace = policy.metadata.namespace ?? "default";
  const unreadable = (field: string, message: string): Predicate => {
    problems.push({ resource: refOf(policy), field, message });
    return action === "ALLOW" ? none : any;
  };
  const compile: Compile = {
    mesh,
    namespace,
    protocol,
    unreadable,
    fields: (object, fields, pointer) =>
      allOf(fields.flatMap((field) => compileField(object, field, pointer, compile, action))),
  };
  const rules = (policy.spec?.rules ?? []).map((rule, index): Rule => {
    const pointer = `/spec/rules/${index}`;
    const conditions = (rule.when ?? []).map((when, at) =>
      compileCondition(when, `${pointer}/when/${at}`, compile),
    );
    const about = (side: "source" | "operation") =>
      conditions.filter((condition) => condition.about === side).map(({ predicate }) => predicate);
    const from = (rule.from ?? []).map((each, at) =>
      compileSource(each.source ?? {}, `${pointer}/from/${at}/source`, compile),
    );
    const to = (rule.to ?? []).map((each, at) =>
      compileOperation(each.operation ?? {}, `${pointer}/to/${at}/operation`, compile),
    );
    return {
      id: `ns[${namespace}]-policy[${policy.metadata.name}]-rule[${index}]`,
      source: allOf([...(from.length > 0 ? [someOf(from)] : []), ...about("source")]),
      operation: allOf([...(to.length > 0 ? [someOf(to)] : []), ...about("operation")]),
    };
  });
  return { rules, problems };
}

/** A field and its `not`: none where the policy does not use it. */
function compileField<T extends object>(
  object: T,
  { name, not, read, http }: Field<T>,
  pointer: string,
  compile: Compile,
  action: Action,
): Predicate[] {
  const parts: Predicate[] = [];
  for (const [key, negate] of [
    [name, false],
    [not, true],
  ] as const) {
    const values: unknown = object[key];
    if (!Array.isArray(values) || values.length === 0) continue;
    if (http && compile.protocol === "tcp") {
      // A connection has no such field: an ALLOW rule with it lets nobody in, a DENY rule does without it.
      if (action === "ALLOW") parts.push(none);
      continue;
    }
    const read1 = values.map((value, index) => {
      const text = String(value);
      return (
        read(text, compile) ??
        compile.unreadable(`${pointer}/${String(key)}/${index}`, `\`${text}\` cannot be understood here`)
      );
    });
    // What cannot be understood must not be turned round by `not`: it stands beside it.
    const unread = read1.filter((predicate) => predicate === any || predicate === none);
    const understood = read1.filter((predicate) => !unread.includes(predicate));
    if (negate)
      parts.push(
        ...unread,
        ...(understood.length > 0 ? [{ kind: "not" as const, of: someOf(understood) }] : []),
      );
    else parts.push(someOf(read1));
  }
  return parts;
}

function allOf(of: readonly Predicate[]): Predicate {
  const [only] = of;
  if (only === undefined) return any;
  return of.length === 1 ? only : { kind: "all", of };
}

function someOf(of: readonly Predicate[]): Predicate {
  const [only] = of;
  return of.length === 1 && only ? only : { kind: "some", of };
}
