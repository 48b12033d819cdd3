/** Finds names that stand twice in one object of a body: parsers keep one of the two without a word. */
import { LineCounter, parseDocument } from "yaml";

/**
 * The paths of names that a JSON text has twice in one object, e.g. `data.a` or `spec.ports[0].name`.
 *
 * @param text valid JSON
 * @param value what it was parsed to
 */
export function jsonDuplicates(text: string, value: unknown): string[] {
  // A compact text without duplicates is what writing its value gives again: true of nearly every client's.
  if (JSON.stringify(value) === text.trimEnd()) return [];
  const found = new Set<string>();
  const stack: Frame[] = [];
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\],]/gs;
  for (const { 0: token } of text.matchAll(tokens)) {
    const top = stack.at(-1);
    if (token === "{") stack.push({ names: new Set(), name: "", index: 0, expectsName: true });
    else if (token === "[") stack.push({ names: undefined, name: "", index: 0, expectsName: false });
    else if (token === "}" || token === "]") stack.pop();
    else if (token === ",") {
      if (top === undefined) continue;
      top.index++;
      top.expectsName = top.names !== undefined;
    } else if (top?.expectsName === true && top.names !== undefined) {
      const name: unknown = JSON.parse(token);
      top.name = String(name);
      top.expectsName = false;
      if (top.names.has(top.name)) found.add(pathOf(stack));
      top.names.add(top.name);
    }
  }
  return [...found].map((path) => `duplicate field ${JSON.stringify(path)}`);
}

interface Frame {
  /** undefined in an array. */
  readonly names: Set<string> | undefined;
  name: string;
  index: number;
  expectsName: boolean;
}

function pathOf(stack: readonly Frame[]): string {
  return stack
    .map(({ names, name, index }) => (names === undefined ? `[${index}]` : `.${name}`))
    .join("")
    .replace(/^\./, "");
}

/** The same for YAML, in the words of Go's YAML parser; empty where there are none. */
export function yamlDuplicates(text: string): string[] {
  const lines = new LineCounter();
  const { errors } = parseDocument(text, { lineCounter: lines, schema: "core" });
  const twice = errors.filter(({ code }) => code === "DUPLICATE_KEY");
  if (twice.length === 0) return [];
  const texts = twice.map(({ pos: [start] }) => {
    const name = /^\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^:\s]+)/.exec(text.slice(start))?.[1] ?? "";
    const key = name.replace(/^["']|["']$/g, "");
    return `  line ${lines.linePos(start).line}: key ${JSON.stringify(key)} already set in map`;
  });
  return [`yaml: unmarshal errors:\n${texts.join("\n")}`];
}
