import {
  type BinaryOperator,
  type Expression,
  type LabelMatcher,
  type Labels,
  type MatchOperator,
  QueryError,
} from "./syntax.ts";
import { readDuration, readString, readTokens, type Token } from "./tokens.ts";

/** Binary operators by how tightly they bind, loosest first; `^` binds to the right. */
const precedence: readonly (readonly string[])[] = [
  ["or"],
  ["and", "unless"],
  ["==", "!=", ">", "<", ">=", "<="],
  ["+", "-"],
  ["*", "/", "%"],
];
const comparisons: readonly string[] = precedence[2] ?? [];
const sets: readonly string[] = ["or", "and", "unless"];
export const aggregations = ["sum", "avg", "min", "max", "count"] as const;

/** How deeply a query may be nested. */
const deepest = 50;

/** Reads a query. @throws {QueryError} with what is wrong and where */
export function parseQuery(query: string): Expression {
  return new Parser(readTokens(query)).whole();
}

class Parser {
  private readonly tokens: readonly Token[];
  private position = 0;
  private depth = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  whole(): Expression {
    const expression = this.binary(0);
    if (this.peek().kind !== "end") this.fail("expected the end");
    return expression;
  }

  private binary(level: number): Expression {
    if (++this.depth > deepest * (precedence.length + 2))
      throw new QueryError("the query is nested too deeply");
    const operators = precedence[level];
    if (operators === undefined) {
      const power = this.power();
      this.depth--;
      return power;
    }
    let left = this.binary(level + 1);
    while (operators.includes(this.peek().text) && this.peek().kind !== "string") {
      const operator = this.take().text as BinaryOperator;
      const modifiers = this.modifiers(operator);
      left = { kind: "binary", operator, ...modifiers, left, right: this.binary(level + 1) };
    }
    this.depth--;
    return left;
  }

  private modifiers(operator: string): { bool: boolean; matching: Labels } {
    const bool = comparisons.includes(operator) && this.accept("bool");
    const only = this.accept("on");
    const named = only || this.accept("ignoring");
    const matching = { only, labels: named ? this.labels() : [] };
    if (["group_left", "group_right"].includes(this.peek().text))
      this.fail("many-to-one matching is not understood");
    return { bool, matching };
  }

  private power(): Expression {
    if (this.accept("-")) return { kind: "negative", of: this.power() };
    if (this.accept("+")) return this.power();
    const base = this.primary();
    if (!this.accept("^")) return base;
    const matching = { only: false, labels: [] };
    return { kind: "binary", operator: "^", bool: false, matching, left: base, right: this.power() };
  }

  private primary(): Expression {
    const token = this.peek();
    if (token.kind === "number") {
      this.take();
      return { kind: "number", value: Number(token.text) };
    }
    if (this.accept("(")) {
      const inside = this.binary(0);
      this.expect(")");
      return inside;
    }
    if (token.kind === "name") return this.named(this.take().text);
    if (token.text === "{") return this.selector("");
    return this.fail("expected a metric, a number or a function");
  }

  private named(name: string): Expression {
    const next = this.peek().text;
    if ((aggregations as readonly string[]).includes(name) && ["(", "by", "without"].includes(next)) {
      return this.aggregation(name);
    }
    if (next === "(") {
      this.take();
      const args: Expression[] = [];
      while (this.peek().text !== ")") {
        args.push(this.binary(0));
        if (!this.accept(",")) break;
      }
      this.expect(")");
      return { kind: "call", name, args };
    }
    if (/^(?:inf|nan)$/i.test(name))
      return { kind: "number", value: /inf/i.test(name) ? Infinity : Number.NaN };
    if (sets.includes(name)) this.fail("expected a metric, a number or a function", -1);
    return this.selector(name);
  }

  private aggregation(name: string): Expression {
    let by = this.grouping();
    this.expect("(");
    const of = this.binary(0);
    this.expect(")");
    by ??= this.grouping();
    return { kind: "aggregation", name, by: by ?? { only: true, labels: [] }, of };
  }

  private grouping(): Labels | undefined {
    const only = this.accept("by");
    return only || this.accept("without") ? { only, labels: this.labels() } : undefined;
  }

  private labels(): string[] {
    const labels: string[] = [];
    this.expect("(");
    while (this.peek().kind === "name") {
      labels.push(this.take().text);
      if (!this.accept(",")) break;
    }
    this.expect(")");
    return labels;
  }

  private selector(name: string): Expression {
    const matchers: LabelMatcher[] = [];
    if (this.accept("{")) {
      while (this.peek().kind === "name") {
        matchers.push(this.matcher());
        if (!this.accept(",")) break;
      }
      this.expect("}");
    }
    let range: number | undefined;
    if (this.accept("[")) {
      range = this.duration();
      if (this.peek().text.startsWith(":")) this.fail("subqueries are not understood");
      this.expect("]");
    }
    const offset = this.accept("offset") ? this.duration() : 0;
    if (this.peek().text === "@") this.fail("`@` is not understood");
    const [byName] = matchers.filter(({ label, operator }) => label === "__name__" && operator === "=");
    const named = name === "" ? (byName?.value ?? "") : name;
    if (named === "") this.fail("a selector needs the name of a metric");
    return {
      kind: "selector",
      name: named,
      matchers: matchers.filter((matcher) => matcher !== byName),
      range,
      offset,
    };
  }

  private matcher(): LabelMatcher {
    const label = this.take().text;
    const operator = this.take().text;
    if (!["=", "!=", "=~", "!~"].includes(operator)) this.fail("expected =, !=, =~ or !~", -1);
    const value = this.take();
    if (value.kind !== "string") this.fail("expected a quoted text", -1);
    return { label, operator: operator as MatchOperator, value: readString(value.text) };
  }

  private duration(): number {
    const token = this.take();
    const length = token.kind === "duration" ? readDuration(token.text) : 0;
    if (length <= 0) this.fail("expected a duration", -1);
    return length;
  }

  private peek(): Token {
    return this.tokens[this.position] ?? { kind: "end", text: "", at: 0 };
  }

  private take(): Token {
    const token = this.peek();
    this.position += 1;
    return token;
  }

  private accept(text: string): boolean {
    const token = this.peek();
    if (token.text !== text || token.kind === "string") return false;
    this.position += 1;
    return true;
  }

  private expect(text: string): void {
    if (!this.accept(text)) this.fail(`expected \`${text}\``);
  }

  private fail(reason: string, back = 0): never {
    const token = this.tokens[Math.max(0, this.position + back)] ?? this.peek();
    const found = token.kind === "end" ? "the end of the query" : `\`${token.text}\` at ${token.at}`;
    throw new QueryError(`${reason}, found ${found}`);
  }
}
