import type { PodSpec } from "./container.ts";

/** The container by which a meshed pod is told from others. */
export const sidecarName = "istio-proxy";

/** Pods per machine: third part 1-127, fourth 1-254. */
const slots = 127 * 254;

/** A /16 by its first two parts, e.g. `127.77`: the addresses of one control plane and its pods. */
export type Network = string;

/** Address of the control plane, which is also the node's. */
export function hostAddress(network: Network): string {
  return `${network}.0.1`;
}

/** The pod IP of a slot (0-based), e.g. `127.S.1.1` … `127.S.127.254`. */
export function podAddress(network: Network, slot: number): string {
  const place = slot % slots;
  return `${network}.${1 + Math.floor(place / 254)}.${1 + (place % 254)}`;
}

/** The slot of a pod IP; -1 when it is none of this network's. */
export function slotOf(network: Network, address: string): number {
  const [first, second, third = 0, fourth = 0] = address.split(".").map(Number);
  if (`${first}.${second}` !== network || third < 1 || third > 127 || fourth < 1 || fourth > 254) return -1;
  return (third - 1) * 254 + (fourth - 1);
}

/** Where the application of a meshed pod listens: the pod IP with 128 added to its third part. */
export function applicationAddress(podIp: string): string {
  const [first, second, third, fourth] = podIp.split(".");
  return `${first}.${second}.${Number(third) + 128}.${fourth}`;
}

/**
 * The next free pod IP after `last`, going round: an address rests as long as possible before it is used again,
 * since a proxy may still know it under its former owner.
 *
 * @returns undefined when all are taken
 */
export function nextAddress(
  network: Network,
  taken: ReadonlySet<string>,
  last: string | undefined,
): string | undefined {
  const from = last === undefined ? 0 : slotOf(network, last) + 1;
  for (let step = 0; step < slots; step++) {
    const candidate = podAddress(network, from + step);
    if (!taken.has(candidate)) return candidate;
  }
  return undefined;
}

/** Whether a sidecar stands in front of the pod's application. */
export function hasSidecar({ containers, initContainers = [] }: PodSpec): boolean {
  return [...initContainers, ...containers].some(({ name }) => name === sidecarName);
}
