import { parseTemplate } from "./parse.ts";
import { type Block, type Node, type Operand, type Pipeline, TemplateError, type Value } from "./syntax.ts";

/** What a template may call by name, without arguments. Its values are checked by `checked` before they are used. */
export interface TemplateFunctions {
  readonly values: ReadonlyMap<string, Value>;
  /** Why a value may not go into the text; undefined where it may. */
  readonly refusal: (value: string) => string | undefined;
}

const mostOutput = 100_000;
/** Blocks that are entered: ranges in ranges multiply. */
const mostBlocks = 10_000;

/**
 * Fills a template: a subset of Go's text/template that puts values together and never evaluates code.
 *
 * Functions without arguments are the caller's; with arguments `printf`, `print`, `index`, `len`, `eq`, `ne`, `lt`,
 * `le`, `gt`, `ge`, `and`, `or`, `not`; `if`, `with`, `range` over maps, `else`, variables, pipelines, comments, trimming.
 *
 * @throws {TemplateError} where it is no such template, names what is not known, or a value is refused
 */
export function runTemplate(source: string, functions: TemplateFunctions): string {
  return new Run(functions).text(parseTemplate(source));
}

class Run {
  private readonly functions: TemplateFunctions;
  /** Variables of the blocks around, the innermost last. */
  private scopes: readonly Map<string, Value>[] = [new Map()];
  /** Outside of `with` and `range` there is none. */
  private dot: Value | undefined;
  private length = 0;
  private blocks = 0;

  constructor(functions: TemplateFunctions) {
    this.functions = functions;
  }

  text(nodes: readonly Node[]): string {
    let text = "";
    for (const node of nodes) text += this.node(node);
    return text;
  }

  private node(node: Node): string {
    switch (node.kind) {
      case "text":
        return this.bounded(node.text);
      case "output":
        return this.bounded(printed(this.pipeline(node.pipeline)));
      case "assign": {
        const value = this.pipeline(node.pipeline);
        const scope = node.declares ? this.scopes.at(-1) : this.scopeOf(node.name);
        scope?.set(node.name, value);
        return "";
      }
      default:
        return this.block(node);
    }
  }

  private block(block: Block): string {
    const value = this.pipeline(block.pipeline);
    if (block.kind !== "range") {
      const holds = isTrue(value);
      const [name] = block.declares;
      const scope = new Map(name === undefined ? [] : [[name, value]]);
      const dot = block.kind === "with" && holds ? value : this.dot;
      return this.inside(scope, dot, holds ? block.body : block.otherwise);
    }
    if (typeof value !== "object") throw new TemplateError("`range` goes over a map, such as `variables`");
    if (value.size === 0) return this.inside(new Map(), this.dot, block.otherwise);
    let text = "";
    for (const [key, inner] of [...value].sort(byKey)) {
      const names = block.declares;
      const given = names.length === 2 ? [key, inner] : [inner];
      text += this.inside(new Map(names.map((name, index) => [name, given[index] ?? ""])), inner, block.body);
    }
    return text;
  }

  /** Fills nodes with variables of their own. */
  private inside(scope: Map<string, Value>, dot: Value | undefined, nodes: readonly Node[]): string {
    this.blocks += 1;
    if (this.blocks > mostBlocks)
      throw new TemplateError(`the template enters more than ${mostBlocks} blocks`);
    const { scopes, dot: before } = this;
    this.scopes = [...scopes, scope];
    this.dot = dot;
    try {
      return this.text(nodes);
    } finally {
      this.scopes = scopes;
      this.dot = before;
    }
  }

  private scopeOf(name: string): Map<string, Value> {
    const scope = this.scopes.findLast((one) => one.has(name));
    if (scope === undefined) throw new TemplateError(`\`${name}\` is not declared`);
    return scope;
  }

  private bounded(text: string): string {
    this.length += text.length;
    if (this.length > mostOutput) throw new TemplateError(`the text has more than ${mostOutput} characters`);
    return text;
  }

  private pipeline(pipeline: Pipeline): Value {
    let last: readonly Value[] = [];
    for (const { first, args } of pipeline) {
      const given = [...args.map((arg) => this.operand(arg)), ...last];
      last = [this.command(first, given)];
    }
    return last[0] ?? "";
  }

  private command(first: Operand, args: readonly Value[]): Value {
    if (first.kind === "call" && !this.functions.values.has(first.name)) return builtIn(first.name, args);
    if (args.length > 0) throw new TemplateError(`\`${nameOf(first)}\` takes no arguments`);
    return this.operand(first);
  }

  private operand(operand: Operand): Value {
    switch (operand.kind) {
      case "literal":
        return operand.value;
      case "variable": {
        const value = this.scopeOf(operand.name).get(operand.name) ?? "";
        return this.field(value, operand.name, operand.fields);
      }
      case "dot": {
        if (this.dot === undefined)
          throw new TemplateError("`.` is nothing outside of `{{ with }}` and `{{ range }}`");
        return this.field(this.dot, "$", operand.fields);
      }
      case "group":
        return this.field(this.pipeline(operand.pipeline), "(...)", operand.fields);
      case "call": {
        const value = this.functions.values.get(operand.name);
        if (value === undefined) return builtIn(operand.name, []);
        return this.field(value, operand.name, operand.fields);
      }
    }
  }

  private field(value: Value, name: string, fields: readonly string[]): Value {
    let found = value;
    let path = name;
    for (const field of fields) {
      const inner = typeof found === "object" ? found.get(field) : undefined;
      path = `${path}.${field}`;
      if (inner === undefined)
        throw new TemplateError(`\`{{ ${path} }}\` is no known variable of a metric query`);
      found = inner;
    }
    return this.checked(found, path);
  }

  private checked(value: Value, path: string): Value {
    if (typeof value === "object") {
      // `index` gives its values by names that are not known here.
      for (const [key, inner] of value) {
        this.checked(key, "the key of a variable");
        this.checked(inner, `${path}.${key}`);
      }
      return value;
    }
    const refusal = typeof value === "string" ? this.functions.refusal(value) : undefined;
    if (refusal !== undefined && !path.startsWith("$") && path !== "(...)")
      throw new TemplateError(`the value of \`${path}\` ${refusal}`);
    return value;
  }
}

function nameOf(operand: Operand): string {
  if (operand.kind === "dot") return ".";
  return operand.kind === "literal" ? String(operand.value) : "name" in operand ? operand.name : "(...)";
}

function builtIn(name: string, args: readonly Value[]): Value {
  const [a, b] = args;
  switch (name) {
    case "printf":
      return format(printed(a ?? ""), args.slice(1));
    case "print":
      return args.map(printed).join("");
    case "len":
      if (typeof a === "string") return Buffer.byteLength(a);
      if (typeof a === "object") return a.size;
      break;
    case "index":
      if (typeof a === "object" && typeof b === "string" && args.length === 2) return a.get(b) ?? "";
      break;
    case "not":
      if (a !== undefined) return !isTrue(a);
      break;
    case "and":
      if (a !== undefined) return args.find((arg) => !isTrue(arg)) ?? args.at(-1) ?? a;
      break;
    case "or":
      if (a !== undefined) return args.find(isTrue) ?? args.at(-1) ?? a;
      break;
    case "eq":
      if (a !== undefined && b !== undefined) return args.slice(1).some((other) => compare(a, other) === 0);
      break;
    case "ne":
    case "lt":
    case "le":
    case "gt":
    case "ge":
      if (a !== undefined && b !== undefined && args.length === 2) return holds(name, compare(a, b));
      break;
    default:
      throw new TemplateError(`\`{{ ${name} }}\` is no known variable of a metric query`);
  }
  throw new TemplateError(`\`${name}\` does not take these arguments`);
}

function compare(a: Value, b: Value): number {
  if (typeof a !== typeof b || typeof a === "object" || typeof b === "object")
    throw new TemplateError("values of different types are compared");
  return a < b ? -1 : a > b ? 1 : 0;
}

function holds(name: string, order: number): boolean {
  switch (name) {
    case "ne":
      return order !== 0;
    case "lt":
      return order < 0;
    case "le":
      return order <= 0;
    case "gt":
      return order > 0;
    default:
      return order >= 0;
  }
}

/** `%s`, `%v`, `%d`, `%f`, `%.2f`, `%q`, `%t`, `%%`. */
function format(pattern: string, args: readonly Value[]): string {
  let next = 0;
  const text = pattern.replaceAll(
    /%(\.\d)?(.)?/g,
    (all, places: string | undefined, verb: string | undefined) => {
      if (verb === "%") return "%";
      const value = args[next++];
      if (value === undefined) throw new TemplateError(`printf has no value for \`${all}\``);
      if (verb === "f" && typeof value === "number") return value.toFixed(Number(places?.slice(1) ?? 6));
      if (verb === "d" && typeof value === "number" && Number.isInteger(value)) return String(value);
      if (verb === "t" && typeof value === "boolean") return String(value);
      if (verb === "q" && typeof value === "string") return JSON.stringify(value);
      if (verb === "v" || (verb === "s" && typeof value === "string")) return printed(value);
      throw new TemplateError(`printf cannot write \`${all}\``);
    },
  );
  if (next < args.length) throw new TemplateError("printf has more values than its format");
  return text;
}

function isTrue(value: Value): boolean {
  return typeof value === "object" ? value.size > 0 : Boolean(value);
}

/** As Go goes over a map. */
const byKey = ([a]: readonly [string, string], [b]: readonly [string, string]): number => (a < b ? -1 : 1);

function printed(value: Value): string {
  if (typeof value !== "object") return String(value);
  return `map[${[...value]
    .sort(byKey)
    .map((pair) => pair.join(":"))
    .join(" ")}]`;
}
