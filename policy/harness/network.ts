import { execFileSync, spawnSync } from "node:child_process";

const mark = "FAIRLEAD_POLICY_NETWORK";

/** Whether this process runs in a network of its own where every IPv4 address is this machine's. */
export function hasOwnNetwork(): boolean {
  return process.env[mark] === "1";
}

/**
 * Runs this program again with the same arguments in a network namespace of its own, where a client may come from any
 * address, and waits for it.
 *
 * @returns its exit code
 * @throws Error with what this machine lacks
 */
export function runInOwnNetwork(args: readonly string[]): number {
  // Root may make a namespace as it is; others need one of users around it.
  const flags = [["-n"], ["-rn"]].find(
    (each) => spawnSync("unshare", [...each, "true"], { stdio: "ignore" }).status === 0,
  );
  if (flags === undefined)
    throw new Error(
      "the engine `envoy` needs a network namespace: run as root, or allow `unshare -rn` (user namespaces)",
    );
  const { status, error } = spawnSync("unshare", [...flags, process.execPath, ...args], {
    stdio: "inherit",
    env: { ...process.env, [mark]: "1" },
  });
  if (error) throw error;
  return status ?? 1;
}

/** Makes every IPv4 address this machine's own, and these of IPv6. Only inside a network of our own. */
export function ownAddresses(ipv6: readonly string[]): void {
  const ip = (...args: string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
  ip("link", "set", "lo", "up");
  ip("route", "replace", "local", "0.0.0.0/0", "dev", "lo");
  for (const address of new Set(ipv6)) {
    if (address === "::1") continue;
    ip("-6", "addr", "replace", `${address}/128`, "dev", "lo", "nodad");
  }
}
