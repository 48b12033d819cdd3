/**
 * A path template as Envoy's uri_template reads it: `{*}` is one segment that is not empty, a last `{**}` the rest, none
 * included.
 */
export function templateTest(template: string): (path: string) => boolean {
  const wanted = template.split("/").slice(1);
  const open = wanted.at(-1) === "{**}";
  const fixed = open ? wanted.slice(0, -1) : wanted;
  return (path) => {
    const segments = path.split("/").slice(1);
    if (open ? segments.length <= fixed.length : segments.length !== fixed.length) return false;
    return fixed.every((part, index) => (part === "{*}" ? segments[index] !== "" : segments[index] === part));
  };
}
