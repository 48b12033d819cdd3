/** What a template is, once read: the part of Go's text/template that only puts values together. */

export type Value = string | number | boolean | ReadonlyMap<string, string>;

export type Operand =
  | { readonly kind: "literal"; readonly value: string | number | boolean }
  | { readonly kind: "variable"; readonly name: string; readonly fields: readonly string[] }
  /** `.`: what `with` or `range` is at. */
  | { readonly kind: "dot"; readonly fields: readonly string[] }
  | { readonly kind: "call"; readonly name: string; readonly fields: readonly string[] }
  | { readonly kind: "group"; readonly pipeline: Pipeline; readonly fields: readonly string[] };

/** A function with its arguments, or a single operand. */
export interface Command {
  readonly first: Operand;
  readonly args: readonly Operand[];
}

/** Each command's value is the last argument of the next. */
export type Pipeline = readonly Command[];

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "output"; readonly pipeline: Pipeline }
  | {
      readonly kind: "assign";
      readonly name: string;
      readonly declares: boolean;
      readonly pipeline: Pipeline;
    }
  | Block;

/** `if`, `with` or `range` up to its `end`. */
export interface Block {
  readonly kind: "if" | "with" | "range";
  readonly pipeline: Pipeline;
  /** Variables that it declares: the value; of a range the key too, before it. */
  readonly declares: readonly string[];
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

/** A template that is not in the subset, or that cannot be filled. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}
