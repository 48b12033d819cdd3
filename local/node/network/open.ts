import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import type { Informers } from "../../../kube/contract.ts";
import type { Logger } from "../../../lib/log.ts";
import type { Network } from "../address.ts";
import { destroyNamespaces, leftNamespaces, namespacesFolder, openNamespaces } from "./namespaces.ts";
import { loopbackNetwork, type NetworkMode, type PodNetwork } from "./pod-network.ts";
import { run } from "./run.ts";

export type { NetworkMode } from "./pod-network.ts";

/** A data path that may need to know the Services. */
export interface FollowingNetwork extends PodNetwork {
  /** Makes ClusterIPs and names follow the Services of an API server; resolves when the first ones are in place. */
  follow(informers: Informers): Promise<void>;
}

/** Where ClusterIPs are, and what takes its place. */
const serviceSubnet = 96;
const insteadOfServices = 254;

/** The addresses of a data folder's node and pods: 127.S.0.0/16 on the loopback, 10.S.0.0/16 in namespaces. */
export function podRange(subnet: number, mode: NetworkMode): Network {
  if (mode === "loopback") return `127.${subnet}`;
  return `10.${subnet === serviceSubnet ? insteadOfServices : subnet}`;
}

/** A fresh network namespace (`unshare -rn`) begins without a loopback: brings it up where it is down and may be. */
export async function raiseLoopback(): Promise<void> {
  if (networkInterfaces().lo === undefined)
    await run("ip", ["link", "set", "lo", "up"]).catch(() => undefined);
}

/**
 * Opens the data path of a range's pods. Addresses of the loopback path must be the machine's already.
 *
 * @throws Error with one line that says what is missing
 */
export async function openPodNetwork(options: {
  readonly mode: NetworkMode;
  readonly dataDir: string;
  readonly range: Network;
  readonly logger: Logger;
}): Promise<FollowingNetwork> {
  if (options.mode === "netns") return openNamespaces(options);
  // The folder's pods may have had namespaces before.
  await destroyNamespaces(options.dataDir);
  return { ...loopbackNetwork(options.range), follow: async () => undefined };
}

/** What a control plane that is gone has left, so that its pods can be stopped; opens nothing. */
export function leftPodNetwork(dataDir: string, subnet: number): PodNetwork {
  const mode = existsSync(namespacesFolder(dataDir)) ? "netns" : "loopback";
  const range = podRange(subnet, mode);
  return mode === "netns" ? leftNamespaces(dataDir, range) : loopbackNetwork(range);
}
