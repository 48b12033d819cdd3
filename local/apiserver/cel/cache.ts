/** Expressions that are run again and again, compiled once. */
import { compileExpression, type Expression, ExpressionError } from "./environment.ts";

const expressions = new Map<string, Expression | ExpressionError>();
const keptExpressions = 5000;

/**
 * The expression, compiled now or before.
 *
 * @throws {@link ExpressionError} for one that cannot be compiled
 */
export function compiledOnce(text: string): Expression {
  let found = expressions.get(text);
  if (found === undefined) {
    found = compileOrFail(text);
    if (expressions.size >= keptExpressions) expressions.clear();
    expressions.set(text, found);
  }
  if (found instanceof ExpressionError) throw found;
  return found;
}

/** The expression, or why it cannot be compiled. */
export function compileOrFail(text: string): Expression | ExpressionError {
  try {
    return compileExpression(text);
  } catch (error) {
    if (error instanceof ExpressionError) return error;
    throw error;
  }
}
