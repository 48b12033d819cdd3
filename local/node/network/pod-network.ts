import { isIPv4 } from "node:net";
import { hostAddress, type Network } from "../address.ts";

/** How pods are reached: by addresses of the machine's loopback, or each in a network namespace of its own. */
export type NetworkMode = "loopback" | "netns";

/** Whom a process runs as; absent: whoever runs fairlead. */
export interface ProcessUser {
  readonly user?: number | undefined;
  readonly group?: number | undefined;
}

/** Where the processes of one pod run. */
export interface PodPlace {
  /**
   * The command line that runs `command` there, in `workingFolder` of this machine.
   *
   * @param first words before it that run as root there, such as those that mount; without effect on the loopback path
   */
  enter(
    command: readonly string[],
    workingFolder: string,
    user?: ProcessUser,
    first?: readonly string[],
  ): readonly string[];
}

/** A pod as its network sees it. */
export interface NetworkedPod {
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
  /** `<data folder>/pods/<start of uid>` */
  readonly folder: string;
}

/** The data path of this machine's pods. */
export interface PodNetwork {
  readonly mode: NetworkMode;
  /** First two parts of every address, e.g. `127.77`. */
  readonly range: Network;
  /**
   * Makes the pod's place, or finds the one that stands.
   *
   * @throws Error with the words of the program that failed
   */
  attach(pod: NetworkedPod): Promise<PodPlace>;
  /** The place that a pod of this folder has; undefined where it is gone, and its processes are cut off. */
  find(podFolder: string): PodPlace | undefined;
  /** Takes a pod's place away, which cuts off what still runs there. */
  detach(podFolder: string): void;
  /** Stops looking after it; pods stay connected. */
  close(): Promise<void>;
  /** Takes everything away that was made for pods. */
  destroy(): Promise<void>;
}

const here: PodPlace = { enter: (command) => command };

/** Pods share the machine's network and have an address of its loopback range each: nothing is made and nothing left. */
export function loopbackNetwork(range: Network): PodNetwork {
  return {
    mode: "loopback",
    range,
    attach: async () => here,
    find: () => here,
    detach: () => undefined,
    close: async () => undefined,
    destroy: async () => undefined,
  };
}

/** Whether an address is one of a network's pods (and not its node's). */
export function isPodAddress(range: Network, address: string): boolean {
  return isIPv4(address) && address.startsWith(`${range}.`) && address !== hostAddress(range);
}
