/** Deeper objects are refused, as Envoy's reader does. */
const deepest = 100;

/**
 * Reads one JSON object as Envoy's reader of tokens does, undefined where it is none: a key that stands twice, a number
 * that is not finite, half a surrogate and bytes that are no UTF-8 are refused; a comma behind the last element and
 * single quotes are not. Objects have no prototype, so that every claim is a plain key.
 */
export function readJsonObject(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = new Reader(text).readAll();
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}

const blank = /[ \t\n\r]*/y;
const number = /-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const bare = /[A-Za-z_$][\w$]*/y;
const literals: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["true", true],
  ["false", false],
  ["null", null],
]);

class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  readAll(): unknown {
    const value = this.read(1);
    this.skip(blank);
    if (this.at < this.text.length) throw new SyntaxError("more than one value");
    return value;
  }

  private read(depth: number): unknown {
    if (depth > deepest) throw new SyntaxError("too deep");
    this.skip(blank);
    const character = this.text[this.at];
    if (character === "{") return this.readObject(depth);
    if (character === "[") return this.readArray(depth);
    if (character === '"' || character === "'") return this.readString(character);
    const word = this.skip(bare);
    if (literals.has(word)) return literals.get(word);
    const digits = this.skip(number);
    const value = Number(digits);
    if (digits === "" || word !== "" || !Number.isFinite(value)) throw new SyntaxError("no value");
    return value;
  }

  private readObject(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = Object.create(null);
    this.at += 1;
    while (!this.take("}")) {
      this.skip(blank);
      const quote = this.text[this.at];
      const key = quote === '"' || quote === "'" ? this.readString(quote) : this.skip(bare);
      if ((key === "" && quote !== '"' && quote !== "'") || key in object || !this.take(":"))
        throw new SyntaxError("no key");
      object[key] = this.read(depth + 1);
      if (!this.take(",") && !this.isAt("}")) throw new SyntaxError("no comma");
    }
    return object;
  }

  private readArray(depth: number): unknown[] {
    const list: unknown[] = [];
    this.at += 1;
    while (!this.take("]")) {
      list.push(this.read(depth + 1));
      if (!this.take(",") && !this.isAt("]")) throw new SyntaxError("no comma");
    }
    return list;
  }

  private readString(quote: string): string {
    let end = this.at + 1;
    while (end < this.text.length && this.text[end] !== quote) end += this.text[end] === "\\" ? 2 : 1;
    const inner = this.text.slice(this.at + 1, end);
    if (this.text[end] !== quote) throw new SyntaxError("no end of a string");
    this.at = end + 1;
    const standard = quote === '"' ? inner : inner.replaceAll("\\'", "'").replace(/(?<!\\)"/g, '\\"');
    const value: unknown = JSON.parse(`"${standard}"`);
    if (typeof value !== "string" || !value.isWellFormed()) throw new SyntaxError("no text");
    return value;
  }

  private isAt(character: string): boolean {
    this.skip(blank);
    return this.text[this.at] === character;
  }

  private take(character: string): boolean {
    if (!this.isAt(character)) return false;
    this.at += 1;
    return true;
  }

  private skip(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const [found = ""] = pattern.exec(this.text) ?? [];
    this.at += found.length;
    return found;
  }
}
