/**
 * `authorizer`: what an expression may ask of who may do what.
 *
 * @see k8s.io/apiserver/pkg/cel/library/authz.go
 */
import { type CelFunc, type CelMap, CelScalar, type CelValue, celMethod } from "@bufbuild/cel";
import { isObject, type JsonObject, textAt } from "../../json.ts";
import { kindOf, opaque, textOf } from "../opaque.ts";

const { BOOL, DYN, STRING } = CelScalar;

/** What is asked: a verb on a resource or a path, by the asker or by a service account. */
export interface Question {
  readonly verb: string;
  /** `namespace/name`; undefined for the request's own user. */
  readonly serviceAccount?: string;
  readonly path?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

export type Judge = (question: Question) => Decision;

// An expression runs from start to end without giving way, so one is asked at a time.
let current: Judge | undefined;

/** Runs `evaluate`, whose expressions ask `judge`. */
export function judgedBy<T>(judge: Judge, evaluate: () => T): T {
  const before = current;
  current = judge;
  try {
    return evaluate();
  } finally {
    current = before;
  }
}

/** The value of the variable `authorizer`; `requested` is what the request itself is about. */
export function authorizerValue(requested: Omit<Question, "verb" | "serviceAccount" | "path">): CelMap {
  return opaque("authorizer", "{}", {
    requestResource: opaque("resource check", JSON.stringify(requested)),
  });
}

type Asked = "authorizer" | "group check" | "resource check" | "path check";

function stateOf(value: CelValue, kind: Asked): JsonObject {
  const state: unknown = JSON.parse(textOf(value, kind));
  return isObject(state) ? state : {};
}

/** A method that makes a narrower question: what it is given stands in `field`. */
const narrowed = (method: string, from: Asked, to: Asked, field: keyof Question): CelFunc =>
  celMethod(method, DYN, [STRING], DYN, function (text) {
    return opaque(to, JSON.stringify({ ...stateOf(this, from), [field]: text }));
  });

const told = (
  name: string,
  type: typeof BOOL | typeof STRING,
  answer: (decision: JsonObject) => boolean | string,
) =>
  celMethod(name, DYN, [], type, function () {
    const decision: unknown = JSON.parse(textOf(this, "decision"));
    return answer(isObject(decision) ? decision : {});
  });

export const authorizerFunctions: readonly CelFunc[] = [
  narrowed("path", "authorizer", "path check", "path"),
  narrowed("group", "authorizer", "group check", "group"),
  celMethod("serviceAccount", DYN, [STRING, STRING], DYN, function (namespace, name) {
    const serviceAccount = `${namespace}/${name}`;
    return opaque("authorizer", JSON.stringify({ ...stateOf(this, "authorizer"), serviceAccount }));
  }),
  narrowed("resource", "group check", "resource check", "resource"),
  narrowed("subresource", "resource check", "resource check", "subresource"),
  narrowed("namespace", "resource check", "resource check", "namespace"),
  narrowed("name", "resource check", "resource check", "name"),
  celMethod("check", DYN, [STRING], DYN, function (verb) {
    const state = stateOf(this, kindOf(this) === "path check" ? "path check" : "resource check");
    if (current === undefined) throw new Error("there is nobody to ask here");
    return opaque("decision", JSON.stringify(current({ ...state, verb })));
  }),
  told("allowed", BOOL, ({ allowed }) => allowed === true),
  told("reason", STRING, (decision) => textAt(decision, "reason") ?? ""),
  told("errored", BOOL, () => false),
  told("error", STRING, () => ""),
];
