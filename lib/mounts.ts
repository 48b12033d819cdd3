/**
 * Where the files of a container's mounts are: at their paths, or, where containers run as plain processes without a
 * mount namespace, where `FAIRLEAD_MOUNTS` says (a JSON object, mount path to path on this machine).
 *
 * @param mounts the variable's value
 * @returns path in the container → path to open
 * @throws Error where it is not a JSON object
 */
export function mountResolver(mounts: string | undefined): (path: string) => string {
  const table = Object.entries(readTable(mounts)).sort(([a], [b]) => b.length - a.length);
  return (path) => {
    for (const [mount, host] of table) {
      if (path === mount || path.startsWith(`${mount.replace(/\/$/, "")}/`))
        return String(host) + path.slice(mount.length);
    }
    return path;
  };
}

function readTable(content: string | undefined): Record<string, unknown> {
  if (!content) return {};
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // named below, like any other value that is no object
  }
  throw new Error("variable `FAIRLEAD_MOUNTS` is not a JSON object");
}
