/** What a query template may name, as Flagger's functions. */
export interface TemplateValues {
  readonly name: string;
  readonly namespace: string;
  readonly target: string;
  readonly service: string;
  readonly ingress: string;
  readonly route: string;
  readonly interval: string;
  readonly variables: ReadonlyMap<string, string>;
}

export type Filled =
  | { readonly kind: "filled"; readonly text: string }
  | { readonly kind: "refused"; readonly reason: string };

/** What could end a string or a selector of a query early. */
const unsafe = /["'`\\{}\n\r]/;

/**
 * Fills a query template: `{{ name }}`, `{{ namespace }}`, `{{ target }}`, `{{ service }}`, `{{ ingress }}`,
 * `{{ route }}`, `{{ interval }}` and `{{ variables.key }}`, with Go's `{{-` and `-}}` trimming. Nothing is ever
 * evaluated: any other expression is refused, and so is a value that could change what the query asks.
 */
export function fillTemplate(template: string, values: TemplateValues): Filled {
  let problem: string | undefined;
  const text = template.replace(
    /(\s*)\{\{(-?)([\s\S]*?)(-?)\}\}(\s*)/g,
    (_, before: string, trimLeft: string, inside: string, trimRight: string, after: string) => {
      const expression = inside.trim();
      const value = lookUp(expression, values);
      if (value === undefined) problem ??= `\`{{ ${expression} }}\` is no known variable of a metric query`;
      else if (unsafe.test(value))
        problem ??= `the value of \`${expression}\` holds quotes, braces, backslashes or line breaks`;
      return `${trimLeft === "" ? before : ""}${value ?? ""}${trimRight === "" ? after : ""}`;
    },
  );
  if (problem === undefined && /\{\{|\}\}/.test(text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")))
    problem = "a `{{` or `}}` has no partner";
  return problem === undefined ? { kind: "filled", text } : { kind: "refused", reason: problem };
}

function lookUp(expression: string, values: TemplateValues): string | undefined {
  switch (expression) {
    case "name":
    case "namespace":
    case "target":
    case "service":
    case "ingress":
    case "route":
    case "interval":
      return values[expression];
    default: {
      const key = /^variables\.([A-Za-z_][A-Za-z0-9_]*)$/.exec(expression)?.[1];
      return key === undefined ? undefined : values.variables.get(key);
    }
  }
}
