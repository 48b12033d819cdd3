/** A request path of the API, taken apart. */
export interface ResourcePath {
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** The old way to ask for a watch: `/api/v1/watch/…`. */
  readonly watch: boolean;
}

/**
 * Reads `/api/v1/namespaces/NS/pods/NAME/log` and its like; undefined for any other path.
 * Throws URIError where a percent code is broken.
 */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
  const [root, ...rest] = parts;
  if (root === "api" && rest.length > 1) return parseRest("", rest);
  if (root === "apis" && rest.length > 2) return parseRest(rest[0] ?? "", rest.slice(1));
  return undefined;
}

function parseRest(group: string, [version = "", ...rest]: readonly string[]): ResourcePath | undefined {
  if (rest[0] === "watch" && rest.length > 1) {
    const path = parseRest(group, [version, ...rest.slice(1)]);
    return path === undefined ? undefined : { ...path, watch: true };
  }
  if (rest[0] === "namespaces" && rest.length > 2 && !isNamespaceSubresource(group, rest)) {
    return resourcePath(group, version, rest[1], rest.slice(2));
  }
  return resourcePath(group, version, undefined, rest);
}

/** `/api/v1/namespaces/NAME/status` is about the namespace itself. */
function isNamespaceSubresource(group: string, rest: readonly string[]): boolean {
  return group === "" && rest.length === 3 && (rest[2] === "status" || rest[2] === "finalize");
}

function resourcePath(
  group: string,
  version: string,
  namespace: string | undefined,
  [plural, name, subresource, ...more]: readonly string[],
): ResourcePath | undefined {
  if (plural === undefined || more.length > 0) return undefined;
  return { group, version, namespace, plural, name, subresource, watch: false };
}
