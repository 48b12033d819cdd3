/** What a query is, once read. A subset of PromQL: docs/promql.md says which. */

export type MatchOperator = "=" | "!=" | "=~" | "!~";

export interface LabelMatcher {
  readonly label: string;
  readonly operator: MatchOperator;
  readonly value: string;
}

export type ArithmeticOperator = "+" | "-" | "*" | "/" | "%" | "^";
export type ComparisonOperator = "==" | "!=" | ">" | "<" | ">=" | "<=";
export type SetOperator = "and" | "or" | "unless";
export type BinaryOperator = ArithmeticOperator | ComparisonOperator | SetOperator;

/** Which labels decide: those named, or all but those named. */
export interface Labels {
  readonly only: boolean;
  readonly labels: readonly string[];
}

export type Expression =
  | { readonly kind: "number"; readonly value: number }
  /** Series by name and labels; with a range the samples of that time. Milliseconds. */
  | {
      readonly kind: "selector";
      readonly name: string;
      readonly matchers: readonly LabelMatcher[];
      readonly range: number | undefined;
      readonly offset: number;
    }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] }
  | {
      readonly kind: "aggregation";
      readonly name: string;
      readonly by: Labels;
      readonly of: Expression;
    }
  | { readonly kind: "negative"; readonly of: Expression }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      /** Comparisons give 0 or 1 where they would leave series out. */
      readonly bool: boolean;
      readonly matching: Labels;
      readonly left: Expression;
      readonly right: Expression;
    };

/** A query that is not in the subset, or no query at all. */
export class QueryError extends Error {
  override readonly name = "QueryError";
}
