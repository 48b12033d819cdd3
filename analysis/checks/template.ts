import { runTemplate } from "../../lib/go-template/run.ts";
import { TemplateError } from "../../lib/go-template/syntax.ts";

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
 * Fills a query template with Flagger's functions: `name`, `namespace`, `target`, `service`, `ingress`, `route`,
 * `interval` and `variables.key`, in the subset of Go templates of `lib/go-template`. Nothing is ever evaluated: any
 * other name is refused, and so is a value that could change what the query asks.
 */
export function fillTemplate(template: string, values: TemplateValues): Filled {
  try {
    const text = runTemplate(template, {
      values: new Map(Object.entries(values)),
      refusal: (value) =>
        unsafe.test(value) ? "holds quotes, braces, backslashes or line breaks" : undefined,
    });
    return { kind: "filled", text };
  } catch (error) {
    if (error instanceof TemplateError) return { kind: "refused", reason: error.message };
    throw error;
  }
}
