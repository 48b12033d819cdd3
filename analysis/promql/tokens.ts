import { QueryError } from "./syntax.ts";

export interface Token {
  readonly kind: "name" | "number" | "duration" | "string" | "symbol" | "end";
  readonly text: string;
  /** Where it begins in the query. */
  readonly at: number;
}

const longestQuery = 10_000;

/** In the order in which they are tried. */
const patterns: readonly (readonly [Token["kind"] | "space", RegExp])[] = [
  ["space", /(?:\s+|#[^\n]*)/y],
  ["duration", /(?:\d+(?:ms|[smhdwy]))+(?![\w.])/y],
  ["number", /(?:0x[0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?![\w.])/y],
  ["name", /[a-zA-Z_:][a-zA-Z0-9_:]*/y],
  ["string", /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`/y],
  ["symbol", /=~|!~|==|!=|>=|<=|[-+*/%^=<>(){}[\],:@]/y],
];

/** Cuts a query into words. @throws {QueryError} at what is none */
export function readTokens(query: string): Token[] {
  if (query.length > longestQuery) throw new QueryError(`a query may have ${longestQuery} characters`);
  const tokens: Token[] = [];
  let at = 0;
  while (at < query.length) {
    const found = patterns.find(([, pattern]) => {
      pattern.lastIndex = at;
      return pattern.test(query);
    });
    if (found === undefined)
      throw new QueryError(`unexpected character at ${at}: \`${query.slice(at, at + 10)}\``);
    const [kind, pattern] = found;
    const text = query.slice(at, pattern.lastIndex);
    if (kind !== "space") tokens.push({ kind, text, at });
    at = pattern.lastIndex;
  }
  tokens.push({ kind: "end", text: "", at });
  return tokens;
}

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** `1m30s` in milliseconds. */
export function readDuration(text: string): number {
  let sum = 0;
  for (const [, count, unit = ""] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) {
    sum += Number(count) * (units[unit] ?? 0);
  }
  return sum;
}

/** The text of a quoted string. */
export function readString(text: string): string {
  const inside = text.slice(1, -1);
  if (text.startsWith("`")) return inside;
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
  return inside.replaceAll(/\\(.)/g, (_, character: string) => escapes[character] ?? character);
}
