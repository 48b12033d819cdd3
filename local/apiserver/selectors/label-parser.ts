/**
 * Parses a label selector's text with Kubernetes' own grammar and its messages.
 *
 * @see k8s.io/apimachinery/pkg/labels/selector.go
 */
import { labelKeyFaults, labelValueFault } from "../resources/names.ts";

export type Operator = "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt";

export interface Requirement {
  readonly key: string;
  readonly operator: Operator;
  readonly values: readonly string[];
}

/** Why a selector cannot be read. */
export class SelectorError extends Error {
  override readonly name = "SelectorError";
}

type Kind = "identifier" | "end" | "error" | "in" | "notin" | (typeof symbols)[number];

interface Token {
  readonly kind: Kind;
  readonly text: string;
}

const symbols = [")", ",", "!", "==", "=", "!=", ">", "<", "("] as const;
const special = new Set("=!(),><");
const blank = /\s/;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const first = text[at] ?? "";
    if (blank.test(first)) {
      at++;
    } else if (special.has(first)) {
      const pair = symbols.find((symbol) => symbol.length === 2 && text.startsWith(symbol, at));
      const symbol = pair ?? symbols.find((one) => one === first);
      found.push(symbol === undefined ? { kind: "error", text: first } : { kind: symbol, text: symbol });
      at += symbol?.length ?? 1;
    } else {
      let end = at;
      while (end < text.length && !special.has(text[end] ?? "") && !blank.test(text[end] ?? "")) end++;
      const word = text.slice(at, end);
      found.push({ kind: word === "in" || word === "notin" ? word : "identifier", text: word });
      at = end;
    }
  }
  return found;
}

const end: Token = { kind: "end", text: "" };

/** The requirements of `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Throws {@link SelectorError}. */
export function parseRequirements(text: string): Requirement[] {
  return new Parser(tokens(text)).parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(list: readonly Token[]) {
    this.#tokens = list;
  }

  parse(): Requirement[] {
    const found: Requirement[] = [];
    for (;;) {
      const { kind, text } = this.#value(false);
      if (kind === "end") return found;
      if (kind !== "identifier" && kind !== "!")
        throw new SelectorError(`found '${text}', expected: !, identifier, or 'end of string'`);
      try {
        found.push(this.#requirement());
      } catch (error) {
        if (error instanceof SelectorError)
          throw new SelectorError(`unable to parse requirement: ${error.message}`, { cause: error });
        throw error;
      }
      const after = this.#value(true);
      if (after.kind === "end") return found;
      if (after.kind !== ",")
        throw new SelectorError(`found '${after.text}', expected: ',' or 'end of string'`);
      const following = this.#value(false);
      if (following.kind !== "identifier" && following.kind !== "!")
        throw new SelectorError(`found '${following.text}', expected: identifier after ','`);
    }
  }

  /** The next token where a value may stand: there `in` and `notin` are words like any other. */
  #value(consume: boolean): Token {
    const token = this.#tokens[this.#next] ?? end;
    if (consume) this.#next++;
    return token.kind === "in" || token.kind === "notin" ? { kind: "identifier", text: token.text } : token;
  }

  #requirement(): Requirement {
    let token = this.#value(true);
    const negated = token.kind === "!";
    if (negated) token = this.#value(true);
    if (token.kind !== "identifier") throw new SelectorError(`found '${token.text}', expected: identifier`);
    const key = token.text;
    const faults = labelKeyFaults(key);
    if (faults.length > 0)
      throw new SelectorError(`<nil>: Invalid value: ${JSON.stringify(key)}: ${faults.join("; ")}`);
    if (negated) return { key, operator: "DoesNotExist", values: [] };
    const { kind } = this.#value(false);
    if (kind === "end" || kind === ",") return { key, operator: "Exists", values: [] };
    const operator = this.#operator();
    const values = operator === "in" || operator === "notin" ? this.#values() : [this.#exactValue()];
    return checked(key, operator, values);
  }

  #operator(): Kind {
    const { kind, text } = this.#tokens[this.#next++] ?? end;
    if (["in", "notin", "=", "==", "!=", ">", "<"].includes(kind)) return kind;
    throw new SelectorError(`found '${text}', expected: in, notin, =, ==, !=, gt, lt`);
  }

  #exactValue(): string {
    const { kind } = this.#value(false);
    if (kind === "end" || kind === ",") return "";
    const token = this.#value(true);
    if (token.kind === "identifier") return token.text;
    throw new SelectorError(`found '${token.text}', expected: identifier`);
  }

  #values(): string[] {
    const open = this.#value(true);
    if (open.kind !== "(") throw new SelectorError(`found '${open.text}' expected: '('`);
    const first = this.#value(false);
    if (first.kind === ")") {
      this.#next++;
      return [];
    }
    if (first.kind !== "identifier" && first.kind !== ",")
      throw new SelectorError(`found '${first.text}', expected: ',', ')' or identifier`);
    const values = new Set<string>();
    for (;;) {
      const token = this.#value(true);
      if (token.kind === "identifier") {
        values.add(token.text);
        const { kind, text } = this.#value(false);
        if (kind === ")") break;
        if (kind !== ",") throw new SelectorError(`found '${text}', expected: ',' or ')'`);
      } else if (token.kind === ",") {
        // `(,` and `,)` hold empty values.
        if (values.size === 0) values.add("");
        const { kind } = this.#value(false);
        if (kind === ")") {
          values.add("");
          break;
        }
        if (kind === ",") {
          this.#next++;
          values.add("");
        }
      } else throw new SelectorError(`found '${token.text}', expected: ',', or identifier`);
    }
    this.#next++;
    return [...values];
  }
}

function checked(key: string, operator: Kind, values: readonly string[]): Requirement {
  if (operator === ">" || operator === "<") {
    const [value = ""] = values;
    if (!/^[+-]?\d+$/.test(value)) {
      throw new SelectorError(
        `values[0][${key}]: Invalid value: ${JSON.stringify(value)}: for 'Gt', 'Lt' operators, the value must be an integer`,
      );
    }
    return { key, operator: operator === ">" ? "Gt" : "Lt", values };
  }
  for (const [index, value] of values.entries()) {
    const fault = labelValueFault(value);
    if (fault !== undefined)
      throw new SelectorError(`values[${index}][${key}]: Invalid value: ${JSON.stringify(value)}: ${fault}`);
  }
  return { key, operator: operator === "notin" || operator === "!=" ? "NotIn" : "In", values };
}
