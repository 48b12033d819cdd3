import { isIP, isIPv6 } from "node:net";
import { parseArgs } from "node:util";

/** An address range, e.g. `10.0.0.0/8`. */
export interface AddressRange {
  readonly cidr: string;
  readonly v6: boolean;
}

/** `*`, or a list. */
export type Every<T> = "*" | readonly T[];

/** What is to be redirected: istio-iptables' settings, checked. */
export interface IptablesOptions {
  readonly mode: "REDIRECT" | "TPROXY";
  /** Where outgoing, incoming and tunnelled connections are taken. */
  readonly outboundPort: number;
  readonly inboundPort: number;
  readonly tunnelPort: number;
  /** Whose connections are the proxy's own. */
  readonly proxyUsers: readonly string[];
  readonly proxyGroups: readonly string[];
  /** Mark of the proxy's own connections, where no user tells them apart: fairlead's own flag `--proxy-mark`. */
  readonly proxyMark?: number;
  readonly inboundPorts: Every<number>;
  readonly inboundPortsExclude: readonly number[];
  readonly outboundPorts: readonly number[];
  readonly outboundPortsExclude: readonly number[];
  readonly outboundRanges: Every<AddressRange>;
  readonly outboundRangesExclude: readonly AddressRange[];
  /** Groups whose connections are redirected, and groups whose are not; the second counts only beside `*`. */
  readonly ownerGroups: Every<string>;
  readonly ownerGroupsExclude: readonly string[];
  readonly excludeInterfaces: readonly string[];
  /** Interfaces of virtual machines: what comes in there is somebody's outgoing traffic. */
  readonly virtualInterfaces: readonly string[];
  readonly dropInvalid: boolean;
  /** `all`: every question on port 53; `servers`: those to the pod's own name servers. */
  readonly dns: "no" | "servers" | "all";
  readonly tproxyMark: number;
  readonly tproxyTable: number;
}

/** What is to be done with the rules. */
export interface IptablesCommand {
  readonly action: "apply" | "print" | "clean" | "check";
  readonly options: IptablesOptions;
}

/** Where the agent answers names. */
export const dnsPort = 15053;

/** Istio's flags: long name, letter. The variable is the long name in capitals. */
const flags = {
  "envoy-port": "p",
  "inbound-capture-port": "z",
  "inbound-tunnel-port": "e",
  "proxy-uid": "u",
  "proxy-gid": "g",
  "istio-inbound-interception-mode": "m",
  "istio-inbound-ports": "b",
  "istio-local-exclude-ports": "d",
  "istio-exclude-interfaces": "c",
  "istio-service-cidr": "i",
  "istio-service-exclude-cidr": "x",
  "istio-outbound-ports": "q",
  "istio-local-outbound-ports-exclude": "o",
  "kube-virt-interfaces": "k",
  "istio-inbound-tproxy-mark": "t",
  "istio-inbound-tproxy-route-table": "r",
  "proxy-mark": undefined,
} as const;
const switches = [
  "dry-run",
  "skip-rule-apply",
  "run-validation",
  "redirect-dns",
  "capture-all-dns",
  "drop-invalid",
] as const;
/** Accepted and without effect: rules are always given to iptables-restore, and no rule is logged. */
const silent = ["restore-format", "iptables-trace-logging", "log_output_level"] as const;

/**
 * Reads the flags and variables of Istio's `istio-iptables`; `--clean` is that of `istio-clean-iptables`.
 *
 * @throws Error with one line: the flag, what was found, what is allowed
 */
export function readIptablesCommand(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): IptablesCommand {
  const { values } = parseArgs({
    args: argv.map((argument) =>
      argument === "-n" ? "--dry-run" : argument === "-f" ? "--restore-format" : argument,
    ),
    options: {
      ...Object.fromEntries(
        Object.entries(flags).map(([name, short]) => [
          name,
          { type: "string" as const, ...(short === undefined ? {} : { short }) },
        ]),
      ),
      ...Object.fromEntries(
        [...switches, ...silent, "clean"].map((name) => [name, { type: "boolean" as const }]),
      ),
    },
    strict: true,
  });
  const given = new Map(Object.entries(values).map(([name, value]) => [name, String(value)]));
  const text = (name: keyof typeof flags, otherwise = "") =>
    given.get(name) ?? env[name.toUpperCase().replaceAll("-", "_")] ?? otherwise;
  const isOn = (name: (typeof switches)[number] | "clean", variable?: string) =>
    given.get(name) === "true" || (variable !== undefined && env[variable] === "true");
  const port = (name: keyof typeof flags, otherwise: string) => number(name, text(name, otherwise), 65_535);
  const ports = (name: keyof typeof flags) => list(text(name)).map((item) => number(name, item, 65_535));
  const users = list(text("proxy-uid", "1337")).map((item) => account("proxy-uid", item));
  const mark = text("proxy-mark");
  const redirectsDns = isOn("redirect-dns", "ISTIO_META_DNS_CAPTURE");
  const action = isOn("clean")
    ? "clean"
    : isOn("dry-run")
      ? "print"
      : isOn("skip-rule-apply") || isOn("run-validation")
        ? "check"
        : "apply";
  return {
    action,
    options: {
      mode: mode(text("istio-inbound-interception-mode", "REDIRECT")),
      outboundPort: port("envoy-port", "15001"),
      inboundPort: port("inbound-capture-port", "15006"),
      tunnelPort: port("inbound-tunnel-port", "15008"),
      proxyUsers: users,
      ...(mark === "" ? {} : { proxyMark: number("proxy-mark", mark, 0xffff_ffff) }),
      proxyGroups:
        text("proxy-gid") === "" ? users : list(text("proxy-gid")).map((item) => account("proxy-gid", item)),
      inboundPorts: text("istio-inbound-ports") === "*" ? "*" : ports("istio-inbound-ports"),
      inboundPortsExclude: ports("istio-local-exclude-ports"),
      outboundPorts: ports("istio-outbound-ports"),
      outboundPortsExclude: ports("istio-local-outbound-ports-exclude"),
      outboundRanges:
        text("istio-service-cidr") === "*" ? "*" : ranges("istio-service-cidr", text("istio-service-cidr")),
      outboundRangesExclude: ranges("istio-service-exclude-cidr", text("istio-service-exclude-cidr")),
      ...readGroups(env),
      excludeInterfaces: interfaces("istio-exclude-interfaces", text("istio-exclude-interfaces")),
      virtualInterfaces: interfaces("kube-virt-interfaces", text("kube-virt-interfaces")),
      dropInvalid: isOn("drop-invalid", "INVALID_DROP"),
      dns: redirectsDns ? (isOn("capture-all-dns") ? "all" : "servers") : "no",
      tproxyMark: number("istio-inbound-tproxy-mark", text("istio-inbound-tproxy-mark", "1337"), 0xffff_ffff),
      tproxyTable: number(
        "istio-inbound-tproxy-route-table",
        text("istio-inbound-tproxy-route-table", "133"),
        0xffff_ffff,
      ),
    },
  };
}

function readGroups(
  env: Readonly<Record<string, string | undefined>>,
): Pick<IptablesOptions, "ownerGroups" | "ownerGroupsExclude"> {
  const { ISTIO_OUTBOUND_OWNER_GROUPS: include = "*", ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE: exclude = "" } =
    env;
  return {
    ownerGroups:
      include === "*" ? "*" : list(include).map((item) => account("ISTIO_OUTBOUND_OWNER_GROUPS", item)),
    ownerGroupsExclude: list(exclude).map((item) => account("ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE", item)),
  };
}

function list(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function mode(text: string): IptablesOptions["mode"] {
  if (text === "REDIRECT" || text === "TPROXY") return text;
  throw wrong("istio-inbound-interception-mode", text, "REDIRECT or TPROXY");
}

function number(name: string, text: string, most: number): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value < 1 || value > most)
    throw wrong(name, text, `a number from 1 to ${most}`);
  return value;
}

function account(name: string, text: string): string {
  if (!/^(\d{1,10}|[a-z_][a-z0-9_-]{0,31})$/i.test(text)) throw wrong(name, text, "an id or a name");
  return text;
}

function interfaces(name: string, text: string): string[] {
  return list(text).map((item) => {
    if (!/^[^\s/"'!-][^\s/"'!]{0,14}$/.test(item)) throw wrong(name, item, "the name of an interface");
    return item;
  });
}

/** Addresses without a length are single ones. */
export function ranges(name: string, text: string): AddressRange[] {
  return list(text).map((item) => {
    const [address = "", length, ...more] = item.split("/");
    const v6 = isIPv6(address);
    const most = v6 ? 128 : 32;
    const bits = length ?? String(most);
    if (isIP(address) === 0 || more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > most)
      throw wrong(name, item, "an address range such as 10.0.0.0/8");
    return { cidr: `${address}/${bits}`, v6 };
  });
}

function wrong(name: string, found: string, allowed: string): Error {
  return new Error(`--${name} holds \`${found.slice(0, 80)}\`, which is not ${allowed}`);
}
