/** One step: `.name`, `..name`, `[0]`, `[-1]`, `['name']`, `[*]`, `.*`, `[1:3]`. */
const step =
  /(?:\.{1,2}(?:[A-Za-z0-9_-]+|\*)|\[(?:-?\d+|\*|-?\d*:-?\d*|'[^'\\[\]()`?@^~]*'|"[^"\\[\]()`?@^~]*")\])/y;
const longest = 500;

/**
 * Why a JSONPath is refused; undefined where it may be used. With or without the braces that Argo writes around it.
 *
 * Names, indices, slices and wildcards only: filters and scripts (`?(...)`, `(...)`, `@`, `^`, `~`) are code in some
 * reader or other, and names of JavaScript's own properties lead out of the document.
 */
export function jsonPathProblem(path: string): string | undefined {
  const inner = bareJsonPath(path);
  if (inner.length > longest) return `has ${inner.length} characters: at most ${longest} are read`;
  if (!inner.startsWith("$")) return "must begin with `$`, e.g. `{$.data.errorRate}`";
  if (/[?(@^~`]/.test(inner))
    return "has a filter, a script or an operator on parents: only names, indices and `*` are read";
  if (/__|\b(?:constructor|prototype)\b/.test(inner)) return "names a property of JavaScript's own";
  step.lastIndex = 1;
  while (step.lastIndex < inner.length) {
    const at = step.lastIndex;
    if (!step.test(inner))
      return `cannot be read from character ${at + 1} on: \`${inner.slice(at, at + 20)}\``;
  }
  return undefined;
}

/** The path without braces and space around it. */
export function bareJsonPath(path: string): string {
  const trimmed = path.trim();
  return trimmed.startsWith("{") && trimmed.endsWith("}") ? trimmed.slice(1, -1).trim() : trimmed;
}
