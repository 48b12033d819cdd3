import { dnsPort, type IptablesOptions } from "./options.ts";

type Table = "nat" | "mangle" | "raw";

/** One rule as iptables-restore reads it. */
export interface Rule {
  readonly table: Table;
  readonly chain: string;
  /** 1-based place; absent: at the end. */
  readonly place?: number;
  readonly words: string;
}

/** Which of the two internet protocols, and what its fixed addresses are. */
export interface Family {
  readonly v6: boolean;
  /** The pod's own address as everybody knows it. */
  readonly localhost: string;
  /** Source of what a proxy hands to its own pod, so that it is not taken again. */
  readonly passthrough: string;
  /** The pod's name servers. */
  readonly nameservers: readonly string[];
}

/** The family of a pod's name servers that are IPv4, or IPv6. */
export function familyOf(v6: boolean, nameservers: readonly string[]): Family {
  const own = nameservers
    .filter((server) => server.includes(":") === v6)
    .map((server) => `${server}/${v6 ? 128 : 32}`);
  return v6
    ? { v6, localhost: "::1/128", passthrough: "::6/128", nameservers: own }
    : { v6, localhost: "127.0.0.1/32", passthrough: "127.0.0.6/32", nameservers: own };
}

/** Mark of what a proxy sends to its own pod under TPROXY. */
const ownPodMark = 1338;

/** Ports that one `multiport` takes. */
const portsAtOnce = 15;

/**
 * The rules that send a pod's connections through its proxy: those of Istio's init container, chain by chain and in its
 * order.
 *
 * @see https://github.com/istio/istio/wiki/Understanding-IPTables-snapshot
 */
export function buildRules(options: IptablesOptions, family: Family): readonly Rule[] {
  const rules: Rule[] = [];
  const add = (table: Table, chain: string, words: string) => void rules.push({ table, chain, words });
  const insert = (table: Table, chain: string, words: string, place = 1) =>
    void rules.push({ table, chain, words, place });

  skipInterfaces(options, add, insert);
  if (options.dropInvalid) add("mangle", "PREROUTING", "-m conntrack --ctstate INVALID -j DROP");
  add("nat", "ISTIO_INBOUND", `-p tcp --dport ${options.tunnelPort} -j RETURN`);
  add("nat", "ISTIO_REDIRECT", `-p tcp -j REDIRECT --to-ports ${options.outboundPort}`);
  add("nat", "ISTIO_IN_REDIRECT", `-p tcp -j REDIRECT --to-ports ${options.inboundPort}`);
  takeInbound(options, family, add);

  add("nat", "OUTPUT", "-j ISTIO_OUTPUT");
  for (const protocol of ["tcp", "udp"])
    for (const match of portMatches(options.outboundPortsExclude))
      add("nat", "ISTIO_OUTPUT", `-p ${protocol} ${match} -j RETURN`);
  add("nat", "ISTIO_OUTPUT", `-o lo -s ${family.passthrough} -j RETURN`);
  knowProxy(options, family, add);
  const byGroup = groupMatches(options);
  for (const match of byGroup) add("nat", "ISTIO_OUTPUT", `${match} -j RETURN`);
  if (options.dns !== "no") takeNames(options, family, byGroup, add);
  add("nat", "ISTIO_OUTPUT", `-d ${family.localhost} -j RETURN`);
  takeOutbound(options, family, add, insert);
  if (options.mode === "TPROXY") markTransparent(options, family, add, insert);
  return rules;
}

type Add = (table: Table, chain: string, words: string) => void;
type Insert = (table: Table, chain: string, words: string, place?: number) => void;

function skipInterfaces(
  { excludeInterfaces, virtualInterfaces, mode }: IptablesOptions,
  add: Add,
  insert: Insert,
): void {
  for (const table of mode === "TPROXY" ? (["nat", "mangle"] as const) : (["nat"] as const)) {
    for (const name of excludeInterfaces) {
      add(table, "PREROUTING", `-i ${name} -j RETURN`);
      add(table, "OUTPUT", `-o ${name} -j RETURN`);
    }
  }
  for (const name of virtualInterfaces) insert("nat", "PREROUTING", `-i ${name} -j RETURN`);
}

function takeInbound(options: IptablesOptions, family: Family, add: Add): void {
  const { inboundPorts, inboundPortsExclude, inboundPort, tproxyMark, mode } = options;
  if (inboundPorts !== "*" && inboundPorts.length === 0) return;
  const transparent = mode === "TPROXY";
  const table = transparent ? "mangle" : "nat";
  if (transparent) {
    add("mangle", "ISTIO_DIVERT", `-j MARK --set-mark ${tproxyMark}`);
    add("mangle", "ISTIO_DIVERT", "-j ACCEPT");
    const target = `-j TPROXY --tproxy-mark ${tproxyMark}/0xffffffff --on-port ${inboundPort}`;
    add("mangle", "ISTIO_TPROXY", `! -d ${family.localhost} -p tcp ${target}`);
  }
  add(table, "PREROUTING", "-p tcp -j ISTIO_INBOUND");
  const take = (match: string) => {
    if (!transparent) return add("nat", "ISTIO_INBOUND", `${match} -j ISTIO_IN_REDIRECT`);
    add("mangle", "ISTIO_INBOUND", `${match} -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT`);
    add("mangle", "ISTIO_INBOUND", `${match} -j ISTIO_TPROXY`);
  };
  if (inboundPorts === "*") {
    for (const match of portMatches(inboundPortsExclude))
      add(table, "ISTIO_INBOUND", `-p tcp ${match} -j RETURN`);
    take("-p tcp");
    return;
  }
  for (const match of portMatches(inboundPorts)) take(`-p tcp ${match}`);
}

/** By what a connection is known as the proxy's own, and as anybody else's. */
function ownersOf({
  proxyUsers,
  proxyGroups,
  proxyMark,
}: IptablesOptions): readonly { readonly own: string; readonly foreign: string; readonly isUser: boolean }[] {
  if (proxyMark !== undefined)
    return [{ own: `-m mark --mark ${proxyMark}`, foreign: `-m mark ! --mark ${proxyMark}`, isUser: true }];
  const of = (owner: string, isUser: boolean) => ({
    own: `-m owner ${owner}`,
    foreign: `-m owner ! ${owner}`,
    isUser,
  });
  return [
    ...proxyUsers.map((id) => of(`--uid-owner ${id}`, true)),
    ...proxyGroups.map((id) => of(`--gid-owner ${id}`, false)),
  ];
}

/** A proxy that calls its own pod comes in again; the application that calls itself, and the proxy's own way out, do not. */
function knowProxy(options: IptablesOptions, { localhost }: Family, add: Add): void {
  const { dns, tunnelPort, outboundRanges } = options;
  const asked = outboundRanges !== "*" && outboundRanges.some(({ cidr }) => /^(127\.|::1\/)/.test(cidr));
  for (const { own, foreign, isUser } of ownersOf(options)) {
    // The agent asks name servers itself: that is no call of the pod to itself.
    const butPorts =
      dns !== "no" && isUser ? `-m multiport ! --dports 53,${tunnelPort}` : `! --dport ${tunnelPort}`;
    add("nat", "ISTIO_OUTPUT", `-o lo ! -d ${localhost} -p tcp ${butPorts} ${own} -j ISTIO_IN_REDIRECT`);
    const butNames = dns === "no" ? "" : " -p tcp ! --dport 53";
    if (!asked) add("nat", "ISTIO_OUTPUT", `-o lo${butNames} ${foreign} -j RETURN`);
    add("nat", "ISTIO_OUTPUT", `${own} -j RETURN`);
  }
}

/** Whose connections are left alone, by their group. */
function groupMatches({ ownerGroups, ownerGroupsExclude }: IptablesOptions): readonly string[] {
  if (ownerGroups === "*") return ownerGroupsExclude.map((group) => `-m owner --gid-owner ${group}`);
  return [ownerGroups.map((group) => `-m owner ! --gid-owner ${group}`).join(" ")].filter(
    (match) => match !== "",
  );
}

/** Questions for names go to the agent; its own, and the answers, are kept apart in connection tracking. */
function takeNames(
  options: IptablesOptions,
  { nameservers }: Family,
  byGroup: readonly string[],
  add: Add,
): void {
  const { dns } = options;
  const chain = "ISTIO_OUTPUT_DNS";
  const owners = ownersOf(options).map(({ own }) => own);
  const targets = dns === "all" ? [""] : nameservers.map((server) => ` -d ${server}`);
  const sources = dns === "all" ? [""] : nameservers.map((server) => ` -s ${server}`);
  add("nat", "ISTIO_OUTPUT", `-j ${chain}`);
  for (const target of targets)
    add("nat", chain, `-p tcp --dport 53${target} -j REDIRECT --to-ports ${dnsPort}`);
  for (const match of [...owners, ...byGroup]) add("nat", chain, `-p udp --dport 53 ${match} -j RETURN`);
  for (const target of targets)
    add("nat", chain, `-p udp --dport 53${target} -j REDIRECT --to-ports ${dnsPort}`);
  add("raw", "OUTPUT", `-j ${chain}`);
  for (const owner of owners) {
    add("raw", chain, `-p udp --dport 53 ${owner} -j CT --zone 1`);
    add("raw", chain, `-p udp --sport ${dnsPort} ${owner} -j CT --zone 2`);
  }
  if (sources.length > 0) add("raw", "PREROUTING", "-j ISTIO_INBOUND");
  for (const target of targets) add("raw", chain, `-p udp --dport 53${target} -j CT --zone 2`);
  for (const source of sources) add("raw", "ISTIO_INBOUND", `-p udp --sport 53${source} -j CT --zone 1`);
}

function takeOutbound(options: IptablesOptions, { v6 }: Family, add: Add, insert: Insert): void {
  const { outboundRanges, outboundRangesExclude, outboundPorts, virtualInterfaces } = options;
  for (const { cidr } of outboundRangesExclude.filter((range) => range.v6 === v6))
    add("nat", "ISTIO_OUTPUT", `-d ${cidr} -j RETURN`);
  for (const match of portMatches(outboundPorts))
    add("nat", "ISTIO_OUTPUT", `-p tcp ${match} -j ISTIO_REDIRECT`);
  if (outboundRanges === "*") {
    add("nat", "ISTIO_OUTPUT", "-j ISTIO_REDIRECT");
    for (const name of virtualInterfaces) insert("nat", "PREROUTING", `-i ${name} -j ISTIO_REDIRECT`);
    return;
  }
  for (const { cidr } of outboundRanges.filter((range) => range.v6 === v6)) {
    for (const name of virtualInterfaces)
      insert("nat", "PREROUTING", `-i ${name} -d ${cidr} -j ISTIO_REDIRECT`);
    add("nat", "ISTIO_OUTPUT", `-d ${cidr} -j ISTIO_REDIRECT`);
  }
}

/** Under TPROXY a connection keeps its addresses, and marks tell its ways apart. */
function markTransparent(options: IptablesOptions, family: Family, add: Add, insert: Insert): void {
  const { tproxyMark } = options;
  const { localhost, passthrough } = family;
  add("mangle", "PREROUTING", `-p tcp -m mark --mark ${tproxyMark} -j CONNMARK --save-mark`);
  add("mangle", "OUTPUT", `-p tcp -o lo -m mark --mark ${tproxyMark} -j RETURN`);
  for (const { own } of ownersOf(options))
    add("mangle", "OUTPUT", `! -d ${localhost} -p tcp -o lo ${own} -j MARK --set-mark ${ownPodMark}`);
  add("mangle", "OUTPUT", `-p tcp -m connmark --mark ${tproxyMark} -j CONNMARK --restore-mark`);
  insert("mangle", "ISTIO_INBOUND", `-p tcp -m mark --mark ${tproxyMark} -j RETURN`, 1);
  insert("mangle", "ISTIO_INBOUND", `-p tcp -s ${passthrough} -i lo -j RETURN`, 2);
  insert("mangle", "ISTIO_INBOUND", `-p tcp -i lo -m mark ! --mark ${ownPodMark} -j RETURN`, 3);
}

function portMatches(ports: readonly number[]): string[] {
  const matches: string[] = [];
  for (let from = 0; from < ports.length; from += portsAtOnce) {
    const some = ports.slice(from, from + portsAtOnce);
    matches.push(some.length === 1 ? `--dport ${some[0]}` : `-m multiport --dports ${some.join(",")}`);
  }
  return matches;
}
