import { hostAddress, type Network } from "../address.ts";
import { findHolder, type Holder, startHolder } from "./holder.ts";
import { run } from "./run.ts";
import { bridge } from "./sandbox.ts";

/** Where ClusterIPs come from in the embedded API. */
const serviceRange = "10.96.0.0/16";

/** Address of the node in its namespace: the pods' gateway and name server. */
export function gatewayOf(range: Network): string {
  return `${range}.0.2`;
}

/** Name of this machine's end of the link to the node's namespace. */
export function uplinkOf(range: Network): string {
  return `fairlead${range.split(".")[1]}`;
}

/**
 * The namespace between this machine and the pods: a bridge for the pods, a link to the machine, forwarding between
 * them. Its rules and settings are its own, so that the machine's firewall and forwarding stay as they are.
 */
const setUp = `
host=$1 gateway=$2 uplink=$3 machine=$4 hardware=$5
ip link set lo up
ip link add ${bridge} address "$hardware" type bridge
ip address add "$gateway/16" dev ${bridge}
ip link set ${bridge} up
ip link add uplink type veth peer name "$uplink" netns "$machine"
ip link set uplink up
ip route add "$host" dev uplink src "$gateway"
ip route add default via "$host" dev uplink
for setting in ip_forward=1 conf/all/send_redirects=0 conf/${bridge}/send_redirects=0 conf/default/send_redirects=0 conf/all/rp_filter=0 conf/uplink/rp_filter=0 conf/${bridge}/rp_filter=0; do
  echo "\${setting#*=}" >"/proc/sys/net/ipv4/\${setting%=*}" 2>/dev/null || true
done
# Rules meet packets when they are routed; a machine with Docker would also have them meet frames inside the bridge.
for family in arptables ip6tables iptables; do
  if [ -e "/proc/sys/net/bridge/bridge-nf-call-$family" ]; then echo 0 >"/proc/sys/net/bridge/bridge-nf-call-$family" || true; fi
done
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || { echo "ip_forward cannot be set in a network namespace" >&2; exit 1; }`;

/**
 * Makes the node's namespace and this machine's way into it, or finds those that stand.
 *
 * @throws Error where it is not allowed, or the range is reached over another interface
 */
export async function openNodeNamespace(folder: string, range: Network): Promise<Holder> {
  const uplink = uplinkOf(range);
  const found = findHolder(folder);
  if (found && (await linkExists(uplink))) return found;
  await removeLink(uplink);
  await refuseForeignRoute(range);
  const host = hostAddress(range);
  const gateway = gatewayOf(range);
  const holder = await startHolder({
    folder,
    namespaces: ["--net"],
    script: setUp,
    args: [host, gateway, uplink, String(process.pid), hardwareAddressOf(gateway)],
  });
  await run("ip", ["address", "replace", `${host}/32`, "dev", uplink]);
  await run("ip", ["link", "set", uplink, "up"]);
  await run("ip", ["route", "replace", gateway, "dev", uplink, "src", host]);
  await run("ip", ["route", "replace", `${range}.0.0/16`, "via", gateway, "dev", uplink, "src", host]);
  // Where two control planes run, the machine itself reaches the ClusterIPs of the first; pods always reach their own.
  await run("ip", ["route", "add", serviceRange, "via", gateway, "dev", uplink, "src", host]).catch(
    () => undefined,
  );
  return holder;
}

/** Takes this machine's end of a link away, and with it the other end. */
export async function removeLink(name: string): Promise<void> {
  await run("ip", ["link", "del", name]).catch(() => undefined);
}

/** A bridge without an address of its own changes it with the pods that come and go, and answers get lost. */
function hardwareAddressOf(ip: string): string {
  const parts = ip.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return ["0a", "58", ...parts].join(":");
}

async function linkExists(name: string): Promise<boolean> {
  return run("ip", ["link", "show", name]).then(
    () => true,
    () => false,
  );
}

async function refuseForeignRoute(range: Network): Promise<void> {
  const routes = await run("ip", ["-4", "route", "show", "table", "all", "root", `${range}.0.0/16`]);
  const other = routes.split("\n").find((line) => line !== "");
  if (other !== undefined)
    throw new Error(
      `${range}.0.0/16 is in use on this machine (${other.trim()}): name another --data folder`,
    );
}
