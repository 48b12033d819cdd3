/** What a wildcard of a template takes, beside slashes in the last one. */
const wild = /^[A-Za-z0-9\-._~%!$&'()+,;:@=*]*$/;

/**
 * A path template as Envoy's uri_template reads it: `{*}` is one segment that is not empty, a last `{**}` the rest, none
 * included. Characters that may not stand in a path as they are match no wildcard.
 */
export function templateTest(template: string): (path: string) => boolean {
  const wanted = template.split("/").slice(1);
  const open = wanted.at(-1) === "{**}";
  const fixed = open ? wanted.slice(0, -1) : wanted;
  return (path) => {
    const segments = path.split("/").slice(1);
    if (open ? segments.length <= fixed.length : segments.length !== fixed.length) return false;
    return (
      fixed.every((part, index) => {
        const segment = segments[index] ?? "";
        return part === "{*}" ? segment !== "" && wild.test(segment) : segment === part;
      }) && segments.slice(fixed.length).every((segment) => wild.test(segment))
    );
  };
}
