import type { Predicate } from "../model.ts";
import type { Read } from "./source.ts";

/** A field of a source, an operation or a condition, and its negation. */
export interface Field<T> {
  readonly name: keyof T & string;
  readonly not: keyof T & string;
  readonly read: Read;
  /** The field exists in HTTP requests only. */
  readonly http?: true;
}

/** Compiles one field: at most a predicate for its values and one for its negated values. */
export type CompileField = <T extends object>(object: T, field: Field<T>, pointer: string) => Predicate[];
