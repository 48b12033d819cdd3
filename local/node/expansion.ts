/**
 * Replaces `$(NAME)` by the variable's value, as the kubelet does in command, args and env values.
 *
 * `$$(NAME)` is the text `$(NAME)`; a name that is not known stays as it is.
 * @see Container.command in the core/v1 API
 */
export function expand(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole, name: string | undefined) => {
    if (whole === "$$") return "$";
    return name === undefined ? whole : (variables.get(name) ?? whole);
  });
}
