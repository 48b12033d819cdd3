/** Compiles CEL expressions with Kubernetes' library of functions. */
import {
  type CelEnv,
  type CelFunc,
  type CelInput,
  type CelValue,
  celEnv,
  isCelError,
  parse,
  plan,
} from "@bufbuild/cel";
import { strings } from "@bufbuild/cel/ext";
import { RE2JS } from "re2js";
import { authorizerFunctions } from "./functions/authorizer.ts";
import { listFunctions } from "./functions/lists.ts";
import { networkFunctions } from "./functions/network.ts";
import { numberFunctions } from "./functions/numbers.ts";
import { textFunctions } from "./functions/texts.ts";
import { urlFunctions } from "./functions/url.ts";

const funcs: CelFunc[] = [
  ...strings,
  ...authorizerFunctions,
  ...listFunctions,
  ...networkFunctions,
  ...numberFunctions,
  ...textFunctions,
  ...urlFunctions,
];

let environment: CelEnv | undefined;

/** Made when the first expression is compiled: most servers never see one. */
function sharedEnvironment(): CelEnv {
  environment ??= celEnv({
    funcs,
    re2: {
      compile(pattern) {
        const compiled = RE2JS.compile(pattern);
        return { test: (text) => compiled.matcher(text).find() };
      },
    },
  });
  return environment;
}

/** Why an expression cannot be compiled, or what went wrong when it ran. */
export class ExpressionError extends Error {
  override readonly name = "ExpressionError";
}

/** An expression that can be run with values for its variables. Throws {@link ExpressionError} where it fails. */
export type Expression = (variables: Record<string, CelInput>) => CelValue;

/**
 * Compiles an expression.
 *
 * @throws {@link ExpressionError} for one that cannot be parsed
 */
export function compileExpression(text: string): Expression {
  let run: ReturnType<typeof plan>;
  try {
    const parsed = parse(text);
    for (const name of calledFunctions(parsed.expr)) {
      if (!known(name)) throw new ExpressionError(`undeclared reference to '${name}' (in container '')`);
    }
    run = plan(sharedEnvironment(), parsed);
  } catch (error) {
    throw new ExpressionError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  return (variables) => {
    const result = run(variables);
    if (isCelError(result)) throw new ExpressionError(worded(result.message), { cause: result });
    return result;
  };
}

const standard = new Set(
  "size contains startsWith endsWith matches int uint double string bytes bool type dyn duration timestamp getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMilliseconds getMinutes getMonth getSeconds in".split(
    " ",
  ),
);
const library = new Set(funcs.flatMap(({ name }) => [name, name.split(".").at(-1) ?? name]));

/** Operators have names that no identifier has. */
const known = (name: string): boolean =>
  !/^[A-Za-z][\w.]*$/.test(name) || standard.has(name) || library.has(name);

/** The names of all functions that a parsed expression calls: the evaluator itself only misses them when it runs. */
function* calledFunctions(node: unknown): Generator<string> {
  if (typeof node !== "object" || node === null) return;
  if ("case" in node && node.case === "callExpr" && "value" in node) {
    const { value } = node;
    if (typeof value === "object" && value !== null && "function" in value) yield String(value.function);
  }
  for (const part of Object.values(node)) yield* calledFunctions(part);
}

/** The evaluator's words in cel-go's, which people know from Kubernetes. */
function worded(message: string): string {
  return message
    .replace(/^field not found: /, "no such key: ")
    .replace(/^unbound function: .*/, "no such overload")
    .replace(/^unresolved attribute$/, "undeclared reference");
}
