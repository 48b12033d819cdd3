import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { searchPath } from "./holder.ts";
import { run } from "./run.ts";

/** Programs that make pods' networks, and the Debian package of each. */
const programs = [
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
  ["setpriv", "util-linux"],
  ["mount", "mount"],
  ["hostname", "hostname"],
  ["ip", "iproute2"],
  ["iptables-restore", "iptables"],
  ["iptables-save", "iptables"],
] as const;

/** The user that a sidecar runs as, and the mark of what it sends where there is no such user: the rules tell its connections by it. */
export const proxyUser = 1337;

/**
 * Why pods cannot have network namespaces on this machine; undefined where they can.
 *
 * Tried, not guessed: a namespace is made, with a bridge, an interface and a rule in it, and ends with the try.
 */
export async function namespacesProblem(): Promise<string | undefined> {
  if (process.platform !== "linux") return `network namespaces need Linux, and this is ${process.platform}`;
  if (process.geteuid?.() !== 0) return "network namespaces need root: run as root, or in `unshare -rn`";
  const folders = searchPath().split(delimiter);
  const missing = programs.find(([name]) => !folders.some((folder) => existsSync(join(folder, name))));
  if (missing !== undefined) return `\`${missing[0]}\` is not installed (Debian: apt install ${missing[1]})`;
  const trial = `set -e
mount --bind /etc/hosts /etc/hosts
ip link add trial type bridge
ip link add trial1 type veth peer name trial2
iptables -w 5 -t nat -A OUTPUT -p tcp -m ${hasUser(proxyUser) ? `owner --uid-owner ${proxyUser}` : `mark --mark ${proxyUser}`} -j REDIRECT --to-ports 15001
iptables -w 5 -t nat -A PREROUTING -p tcp -m statistic --mode random --probability 0.5 -m comment --comment trial -j DNAT --to-destination 192.0.2.1:80`;
  try {
    await run("unshare", ["--net", "--mount", "--uts", "--", "sh", "-c", trial]);
    return undefined;
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return `network namespaces cannot be set up here (${words})`;
  }
}

/** Whether this process may run others as a user: in `unshare -rn` there is one user alone. */
export function hasUser(id: number): boolean {
  try {
    return isMapped(id, readFileSync("/proc/self/uid_map", "utf8"));
  } catch {
    return true;
  }
}

/**
 * Whether a user id exists in a user namespace.
 *
 * @param map lines of `/proc/self/uid_map`: first id inside, first outside, how many
 */
export function isMapped(id: number, map: string): boolean {
  return map.split("\n").some((line) => {
    const [inside = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return id >= inside && id < inside + count;
  });
}
