/** `pointer` with one more step, escaped as RFC 6901 says. */
export function below(pointer: string, step: string | number): string {
  return `${pointer}/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The steps of a JSON Pointer: `/spec/http/0` → `["spec", "http", "0"]`. */
export function steps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** A JSON Pointer as Kubernetes prints field paths: `/spec/http/0/match` → `spec.http[0].match`. */
export function fieldPath(pointer: string): string {
  return steps(pointer)
    .map((step) =>
      /^\d+$/.test(step) ? `[${step}]` : /^[\w-]+$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`,
    )
    .join("")
    .replace(/^\./, "");
}
