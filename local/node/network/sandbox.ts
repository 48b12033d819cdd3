import { existsSync } from "node:fs";
import { join } from "node:path";
import { hasUser, proxyUser } from "./available.ts";
import { findHolder, type Holder, startHolder, stopHolder } from "./holder.ts";
import type { NetworkedPod, PodPlace, ProcessUser } from "./pod-network.ts";

export interface SandboxOptions {
  readonly pod: NetworkedPod;
  /** Process that holds the node's namespace, with the bridge that pods are plugged into. */
  readonly node: Holder;
  /** The pods' way out: the node's address on the bridge. */
  readonly gateway: string;
  readonly nameserver: string;
}

/** Name of the bridge in the node's namespace. */
export const bridge = "pods";

/**
 * The pod has one address and no network of its own on its link: everything goes through the node, where ClusterIPs
 * become endpoints, and the answers come back the same way.
 */
const setUp = `
ip=$1 gateway=$2 node=$3 plug=$4 name=$5
for file in hosts resolv.conf nsswitch.conf; do
  if [ -e "/etc/$file" ]; then mount --bind "$etc/$file" "/etc/$file"; fi
done
hostname "$name"
ip link set lo up
nsenter --net="/proc/$node/ns/net" ip link del "$plug" 2>/dev/null || true
ip link add eth0 type veth peer name "$plug" netns "$node"
echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6 2>/dev/null || true
ip address add "$ip/32" dev eth0
ip link set eth0 up
ip route add "$gateway" dev eth0
ip route add default via "$gateway" src "$ip"
nsenter --net="/proc/$node/ns/net" ip link set "$plug" master ${bridge} up`;

/** Makes a pod's namespaces (network, mounts, host name) and plugs it into the node, or finds those that stand. */
export async function openSandbox({ pod, node, gateway, nameserver }: SandboxOptions): Promise<PodPlace> {
  const found = findSandbox(pod.folder);
  if (found) return found;
  const { ip, name } = pod;
  const holder = await startHolder({
    folder: sandboxFolder(pod.folder),
    namespaces: ["--net", "--mount", "--uts"],
    script: setUp,
    args: [ip, gateway, String(node.pid), plugOf(ip), name.slice(0, 63)],
    files: {
      hosts: `127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${ip}\t${name}\n`,
      "resolv.conf": resolverFile(pod.namespace, nameserver),
      // Names of the cluster are known to its server alone, whatever else this machine asks.
      "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    },
  });
  return placeOf(holder);
}

/** The sandbox that an earlier start has made and that still stands. */
export function findSandbox(podFolder: string): PodPlace | undefined {
  const holder = findHolder(sandboxFolder(podFolder));
  return holder && placeOf(holder);
}

/** Ends a pod's sandbox; its interface goes when the last process has left. */
export function closeSandbox(podFolder: string): void {
  stopHolder(sandboxFolder(podFolder));
}

/** As the kubelet writes it under dnsPolicy ClusterFirst. */
export function resolverFile(namespace: string, nameserver: string): string {
  const search = [`${namespace}.svc.cluster.local`, "svc.cluster.local", "cluster.local"].join(" ");
  return `search ${search}\nnameserver ${nameserver}\noptions ndots:5\n`;
}

/** Among the containers' folders, so that whoever ends a pod by its folder ends this too; no container has such a name. */
function sandboxFolder(podFolder: string): string {
  return join(podFolder, "containers", ".sandbox");
}

/** Name of a pod's end in the node's namespace, from its address; interface names have 15 characters at most. */
function plugOf(ip: string): string {
  return `pod${ip.split(".").slice(2).join("-")}`;
}

function placeOf({ pid }: Holder): PodPlace {
  const space = (kind: string) => `/proc/${pid}/ns/${kind}`;
  const inside = [`--net=${space("net")}`, `--mount=${space("mnt")}`, `--uts=${space("uts")}`];
  return {
    enter: (command, workingFolder, user, first = []) => [
      ...[programPath("nsenter"), ...inside, "--"],
      ...first,
      // A new mount namespace puts whoever enters it at the root.
      ...["/bin/sh", "-c", 'cd "$0" && exec "$@"', workingFolder],
      ...identity(user),
      ...command,
    ],
  };
}

/**
 * Another user keeps the right to read and write the machine's files: there is no image that would be its own, and the
 * pod's folders belong to whoever runs fairlead. `no_setuid_fixup`, since access(2) would else ask for another user as if
 * it had no such right, and a program would not find its files in a folder of mode 0700 that it can open.
 */
function identity({ user, group }: ProcessUser = {}): readonly string[] {
  // In a user namespace of one user everything is that user's.
  if (!hasUser(proxyUser)) return [];
  if (user === undefined && group === undefined) return [];
  const kept = "-all,+dac_override,+dac_read_search,+net_bind_service";
  return [
    programPath("setpriv"),
    ...(user === undefined ? [] : [`--reuid=${user}`]),
    ...(group === undefined && user === undefined ? [] : [`--regid=${group ?? user}`, "--clear-groups"]),
    ...(user === undefined || user === 0
      ? []
      : [`--inh-caps=${kept}`, `--ambient-caps=${kept}`, "--securebits=+no_setuid_fixup"]),
    "--",
  ];
}

/** Found here, since a container may have a PATH of its own. */
function programPath(name: string): string {
  const places = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
  return places.map((place) => join(place, name)).find(existsSync) ?? name;
}
