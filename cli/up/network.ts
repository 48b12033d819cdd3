import { namespacesProblem } from "../../local/node/network/available.ts";
import type { NetworkMode } from "../../local/node/network/pod-network.ts";
import { UsageError } from "../failure.ts";

/** What `--network` takes. */
export type NetworkChoice = NetworkMode | "auto";

/** For commander: the flag with its default, which `FAIRLEAD_NETWORK` changes. */
export const networkOption = [
  "--network <path>",
  "how pods are connected: `loopback` (addresses of 127.0.0.0/8, no root), `netns` (a network namespace each and Istio's iptables rules; root), or `auto`",
  readNetworkChoice,
  readNetworkChoice(process.env.FAIRLEAD_NETWORK || "loopback"),
] as const;

/** @throws UsageError where it is no data path */
export function readNetworkChoice(text: string): NetworkChoice {
  if (text === "loopback" || text === "netns" || text === "auto") return text;
  throw new UsageError(`--network \`${text}\`: say \`loopback\`, \`netns\` or \`auto\``);
}

/**
 * The data path for a choice, and why where there was one to make.
 *
 * @throws Error where `netns` is asked for and cannot be had
 */
export async function chooseNetwork(
  choice: NetworkChoice,
): Promise<{ readonly mode: NetworkMode; readonly why: string }> {
  if (choice === "loopback") return { mode: choice, why: "as asked" };
  const problem = await namespacesProblem();
  if (problem === undefined)
    return { mode: "netns", why: choice === "netns" ? "as asked" : "root, and all it needs is here" };
  if (choice === "auto") return { mode: "loopback", why: problem };
  throw new Error(`--network netns: ${problem}`);
}
