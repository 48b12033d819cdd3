import { type Block, type Command, type Node, type Operand, type Pipeline, TemplateError } from "./syntax.ts";

const longest = 20_000;
const deepest = 20;

interface Action {
  readonly kind: "action";
  readonly tokens: readonly Token[];
  readonly source: string;
}

interface Token {
  readonly kind: "word" | "field" | "dot" | "variable" | "string" | "number" | "symbol";
  readonly text: string;
}

const tokenPatterns: readonly (readonly [Token["kind"] | "space", RegExp])[] = [
  ["space", /\s+/y],
  ["string", /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y],
  ["number", /[+-]?\d+(?:\.\d+)?(?![\w.])/y],
  ["variable", /\$[A-Za-z0-9_]*/y],
  ["word", /[A-Za-z_][A-Za-z0-9_]*/y],
  ["field", /\.[A-Za-z_][A-Za-z0-9_]*/y],
  ["dot", /\.(?![\w.])/y],
  ["symbol", /:=|[=|(),]/y],
];

/** Reads a template. @throws {TemplateError} at what is not in the subset */
export function parseTemplate(source: string): readonly Node[] {
  if (source.length > longest) throw new TemplateError(`a template may have ${longest} characters`);
  const parts = split(source);
  const reader = new Reader(parts);
  const nodes = reader.block(0);
  if (reader.ended !== undefined) throw new TemplateError(`\`{{ ${reader.ended} }}\` has no beginning`);
  return nodes;
}

/** Text and actions in turn, with `{{-` and `-}}` applied and comments gone. */
function split(source: string): (string | Action)[] {
  const parts: (string | Action)[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    const open = source.indexOf("{{", at);
    let text = source.slice(at, open < 0 ? source.length : open);
    if (trimNext) text = text.trimStart();
    if (open < 0) {
      parts.push(text);
      break;
    }
    const trimsLeft = /^-\s/.test(source.slice(open + 2, open + 4));
    parts.push(trimsLeft ? text.trimEnd() : text);
    const start = open + (trimsLeft ? 3 : 2);
    const end = endOf(source, start);
    const inside = source.slice(start, end);
    trimNext = /\s-$/.test(inside);
    const content = (trimNext ? inside.slice(0, -1) : inside).trim();
    at = end + 2;
    if (/^\/\*[\s\S]*\*\/$/.test(content)) continue;
    parts.push({ kind: "action", tokens: tokensOf(content), source: content });
  }
  return parts;
}

/** Where an action's `}}` stands: not inside a quoted text. */
function endOf(source: string, start: number): number {
  const quoted = /"(?:[^"\\\n]|\\.)*"|`[^`]*`|\/\*[\s\S]*?\*\/|\}\}|[\s\S]/y;
  quoted.lastIndex = start;
  for (let found = quoted.exec(source); found !== null; found = quoted.exec(source))
    if (found[0] === "}}") return found.index;
  throw new TemplateError("a `{{` or `}}` has no partner");
}

function tokensOf(content: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < content.length) {
    const found = tokenPatterns.find(([, pattern]) => {
      pattern.lastIndex = at;
      return pattern.test(content);
    });
    if (found === undefined) throw new TemplateError(`\`{{ ${content} }}\` cannot be read`);
    const [kind, pattern] = found;
    if (kind !== "space") tokens.push({ kind, text: content.slice(at, pattern.lastIndex) });
    at = pattern.lastIndex;
  }
  return tokens;
}

class Reader {
  /** The `else` or `end` that ended the last block. */
  ended: string | undefined;
  private readonly parts: readonly (string | Action)[];
  private next = 0;

  constructor(parts: readonly (string | Action)[]) {
    this.parts = parts;
  }

  block(depth: number): Node[] {
    if (depth > deepest) throw new TemplateError("the template is nested too deeply");
    const nodes: Node[] = [];
    this.ended = undefined;
    for (;;) {
      const part = this.parts[this.next++];
      if (part === undefined) return nodes;
      if (typeof part === "string") {
        if (/\}\}/.test(part.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")))
          throw new TemplateError("a `{{` or `}}` has no partner");
        if (part !== "") nodes.push({ kind: "text", text: part });
        continue;
      }
      const [first] = part.tokens;
      if (first?.kind === "word" && ["else", "end"].includes(first.text)) {
        this.ended = part.source;
        return nodes;
      }
      const opening = openings.find((kind) => kind === first?.text);
      nodes.push(opening === undefined ? readAction(part) : this.opened(opening, part, depth));
      this.ended = undefined;
    }
  }

  private opened(kind: Block["kind"], action: Action, depth: number): Block {
    const { declares, rest } = declared(kind, action.tokens.slice(1));
    const pipeline = readPipeline(action, rest);
    const body = this.block(depth + 1);
    const otherwise = this.otherwise(kind, depth);
    return { kind, pipeline, declares, body, otherwise };
  }

  /** What follows the first block of an `if`, `with` or `range`, up to its `end`. */
  private otherwise(kind: Block["kind"], depth: number): Node[] {
    const { ended } = this;
    if (ended === undefined) throw new TemplateError(`an \`{{ ${kind} }}\` has no \`{{ end }}\``);
    if (ended === "end") return [];
    const tokens = tokensOf(ended);
    if (kind !== "range" && tokens[1]?.text === kind)
      return [this.opened(kind, { kind: "action", tokens: tokens.slice(1), source: ended }, depth + 1)];
    if (tokens.length > 1) throw new TemplateError(`\`{{ ${ended} }}\` cannot be read`);
    const nodes = this.block(depth + 1);
    if (this.ended !== "end") throw new TemplateError(`an \`{{ ${kind} }}\` has no \`{{ end }}\``);
    return nodes;
  }
}

const openings = ["if", "with", "range"] as const;
const otherWords = ["define", "template", "block", "break", "continue"];

/** The variables that a block declares, and what follows them: `$value := …`, of a range also `$key, $value := …`. */
function declared(
  kind: Block["kind"],
  tokens: readonly Token[],
): { declares: string[]; rest: readonly Token[] } {
  const [first, second, third, fourth] = tokens;
  if (first?.kind !== "variable") return { declares: [], rest: tokens };
  if (second?.text === ":=") return { declares: [first.text], rest: tokens.slice(2) };
  const isPair =
    kind === "range" && second?.text === "," && third?.kind === "variable" && fourth?.text === ":=";
  return isPair
    ? { declares: [first.text, third.text], rest: tokens.slice(4) }
    : { declares: [], rest: tokens };
}

function readAction(action: Action): Node {
  const [first, second] = action.tokens;
  if (first?.kind === "word" && otherWords.includes(first.text))
    throw new TemplateError(`\`{{ ${first.text} }}\` is not understood in a template`);
  if (first?.kind === "variable" && second !== undefined && [":=", "="].includes(second.text)) {
    const declares = second.text === ":=";
    return {
      kind: "assign",
      name: first.text,
      declares,
      pipeline: readPipeline(action, action.tokens.slice(2)),
    };
  }
  return { kind: "output", pipeline: readPipeline(action, action.tokens) };
}

function readPipeline(action: Action, tokens: readonly Token[]): Pipeline {
  const rest = [...tokens];
  const pipeline = pipelineOf(action, rest, 0);
  if (rest.length > 0) fail(action);
  return pipeline;
}

function pipelineOf(action: Action, rest: Token[], depth: number): Pipeline {
  if (depth > deepest) throw new TemplateError("the template is nested too deeply");
  const commands: Command[] = [];
  for (;;) {
    const operands: Operand[] = [];
    while (rest.length > 0 && !["|", ")"].includes(rest[0]?.text ?? ""))
      operands.push(operandOf(action, rest, depth));
    const [first, ...args] = operands;
    if (first === undefined) return fail(action);
    commands.push({ first, args });
    if (rest[0]?.text !== "|") return commands;
    rest.shift();
  }
}

function operandOf(action: Action, rest: Token[], depth: number): Operand {
  const token = rest.shift();
  if (token === undefined) return fail(action);
  switch (token.kind) {
    case "string":
      return { kind: "literal", value: unquoted(token.text) };
    case "number":
      return { kind: "literal", value: Number(token.text) };
    case "variable":
      return { kind: "variable", name: token.text, fields: fieldsOf(rest) };
    case "dot":
      return { kind: "dot", fields: [] };
    case "field":
      return { kind: "dot", fields: [token.text.slice(1), ...fieldsOf(rest)] };
    case "word":
      return token.text === "true" || token.text === "false"
        ? { kind: "literal", value: token.text === "true" }
        : { kind: "call", name: token.text, fields: fieldsOf(rest) };
    default: {
      if (token.text !== "(") return fail(action);
      const pipeline = pipelineOf(action, rest, depth + 1);
      if (rest.shift()?.text !== ")") return fail(action);
      return { kind: "group", pipeline, fields: fieldsOf(rest) };
    }
  }
}

function fieldsOf(rest: Token[]): string[] {
  const fields: string[] = [];
  while (rest[0]?.kind === "field") fields.push((rest.shift()?.text ?? "").slice(1));
  return fields;
}

function unquoted(text: string): string {
  if (text.startsWith("`")) return text.slice(1, -1);
  const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };
  return text.slice(1, -1).replaceAll(/\\(.)/g, (_, one: string) => escapes[one] ?? one);
}

function fail({ source }: Action): never {
  throw new TemplateError(`\`{{ ${source} }}\` is not understood in a template`);
}
