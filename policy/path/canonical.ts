/**
 * Canonical paths as Envoy's URL library makes them (WHATWG's path state with Chromium's treatment of percent codes):
 * dot segments resolved, `\` as `/`, percent codes of unreserved characters decoded, unsafe characters encoded.
 */

const unreserved = /[A-Za-z0-9\-._~]/;
const escaped = new Set('"<>^`{|}'.split(""));
const hex = /^[0-9A-Fa-f]{2}$/;

/** The canonical form of a path without query, undefined where it holds an encoded NUL, which is refused. */
export function canonicalPath(path: string): string | undefined {
  // Most paths are canonical: nothing in them needs a look at each character.
  if (!/[%\\"<>^`{|}]|\/\./.test(path)) return path;
  return new Canonical(dropDotParameters(path)).run();
}

/** Envoy reads `/..;a=b/` as `/../` (and `.` alike), where the dots are written as they are. */
function dropDotParameters(path: string): string {
  if (!path.includes(";")) return path;
  return path
    .split("/")
    .map((segment) => /^\.\.?(?=;)/.exec(segment)?.[0] ?? segment)
    .join("/");
}

class Canonical {
  private readonly text: string;
  private out = "";
  /** Where in `out` the `%` of the last broken percent code stands. */
  private broken = Number.NEGATIVE_INFINITY;

  constructor(text: string) {
    this.text = text;
  }

  run(): string | undefined {
    const { text } = this;
    let index = 0;
    while (index < text.length) {
      const character = text[index] ?? "";
      const dot = this.dotAt(index);
      if (dot > 0) index = this.readDot(index, dot);
      else if (character === "\\") {
        this.out += "/";
        index += 1;
      } else if (character === "%") {
        const code = text.slice(index + 1, index + 3);
        if (hex.test(code)) {
          const byte = Number.parseInt(code, 16);
          if (byte === 0) return undefined;
          this.readCode(code, String.fromCharCode(byte), index + 3);
          index += 3;
        } else {
          this.broken = this.out.length;
          this.out += "%";
          index += 1;
        }
      } else {
        this.out += escaped.has(character)
          ? `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`
          : character;
        index += 1;
      }
    }
    return this.out;
  }

  /** Length of a dot at `index`, plain or as `%2e`; 0 where there is none. */
  private dotAt(index: number): number {
    if (this.text[index] === ".") return 1;
    return this.text.slice(index, index + 3).toLowerCase() === "%2e" ? 3 : 0;
  }

  /** Whether a segment ends at `index`. */
  private endsAt(index: number): boolean {
    const character = this.text[index];
    return character === undefined || character === "/" || character === "\\";
  }

  /** Reads a dot: of a dot segment, which is resolved, or of a name. Returns where to go on. */
  private readDot(index: number, length: number): number {
    const after = index + length;
    if (this.out.endsWith("/")) {
      if (this.endsAt(after)) return after + 1;
      const second = this.dotAt(after);
      if (second > 0 && this.endsAt(after + second)) {
        this.out = this.out.slice(0, this.out.lastIndexOf("/", this.out.length - 2) + 1) || "/";
        if (this.broken >= this.out.length) this.broken = Number.NEGATIVE_INFINITY;
        return after + second + 1;
      }
    }
    this.out += ".";
    return after;
  }

  /** Reads a percent code: decoded where the character is unreserved, else kept as it is written. */
  private readCode(code: string, character: string, next: number): void {
    if (!unreserved.test(character)) {
      this.out += `%${code}`;
      return;
    }
    this.out += character;
    if (this.broken >= this.out.length - 3) this.protect(character, next);
  }

  /** A decoded character may complete a broken code (`%%32e` is not `%2e`): its `%` is then encoded. */
  private protect(character: string, next: number): void {
    const more = this.broken === this.out.length - 2;
    const following = this.text[next];
    if (more && following === undefined) return;
    const candidate = more ? this.out + following : this.out;
    if (!hex.test(candidate.slice(this.broken + 1, this.broken + 3))) return;
    const before = this.out.slice(0, this.broken);
    this.out = more ? `${before}%25${character}` : `${before}%25${this.out[this.broken + 1]}${character}`;
  }
}
