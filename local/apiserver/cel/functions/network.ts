/** `ip()` and `cidr()`, and what can be asked of them. */
import { isIP } from "node:net";
import { type CelFunc, CelScalar, celFunc, celMethod } from "@bufbuild/cel";
import { kindOf, opaque, textOf } from "../opaque.ts";

const { BOOL, DYN, INT, STRING } = CelScalar;

interface Address {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

/** Reads an address; undefined for what Go's netip would not take either (zones, IPv4 inside IPv6). */
function parse(text: string): Address | undefined {
  const family = isIP(text);
  if (family === 4) return { family, bits: number(text.split(".").map(Number), 8n) };
  if (family !== 6 || text.includes("%") || text.includes(".")) return undefined;
  const [head = "", tail] = text.split("::");
  const groups = (part: string) =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - before.length - after.length }, () => 0);
  return { family, bits: number([...before, ...zeros, ...after], 16n) };
}

function number(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((sum, part) => (sum << width) | BigInt(part), 0n);
}

function read(text: string): Address {
  const address = parse(text);
  if (address === undefined)
    throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
  return address;
}

interface Network extends Address {
  readonly prefix: number;
  readonly address: string;
}

function parseNetwork(text: string): Network | undefined {
  const [address = "", prefix = "", ...more] = text.split("/");
  const parsed = parse(address);
  if (parsed === undefined || more.length > 0 || !/^(0|[1-9]\d{0,2})$/.test(prefix)) return undefined;
  return Number(prefix) > width(parsed) ? undefined : { ...parsed, prefix: Number(prefix), address };
}

function readNetwork(text: string): Network {
  const network = parseNetwork(text);
  if (network === undefined)
    throw new Error(
      `network address parse error during conversion from string: invalid CIDR address: ${text}`,
    );
  return network;
}

const width = ({ family }: Address): number => (family === 4 ? 32 : 128);

/** Whether the first `prefix` bits are the same. */
function within(address: Address, network: Address & { readonly prefix: number }): boolean {
  const rest = BigInt(width(network) - network.prefix);
  return address.family === network.family && address.bits >> rest === network.bits >> rest;
}

const inNetwork = (text: string) => {
  const network = readNetwork(text);
  return (address: Address) => within(address, network);
};
const loopback4 = inNetwork("127.0.0.0/8");
const linkLocal4 = inNetwork("169.254.0.0/16");
const linkLocal6 = inNetwork("fe80::/10");
const multicast4 = inNetwork("224.0.0.0/4");
const multicast6 = inNetwork("ff00::/8");
const linkMulticast4 = inNetwork("224.0.0.0/24");

const isUnspecified = ({ bits }: Address) => bits === 0n;
const isLoopback = (address: Address) => loopback4(address) || (address.family === 6 && address.bits === 1n);
const isLinkLocal = (address: Address) => linkLocal4(address) || linkLocal6(address);
/** ff02::/16 whatever the flags, as Go tells it. */
const isLinkMulticast = (address: Address) =>
  linkMulticast4(address) || (multicast6(address) && ((address.bits >> 112n) & 0xfn) === 2n);

const isGlobalUnicast = (address: Address) =>
  !isUnspecified(address) &&
  !isLoopback(address) &&
  !isLinkLocal(address) &&
  !multicast4(address) &&
  !multicast6(address) &&
  !(address.family === 4 && address.bits === 0xffff_ffffn);

const ask = (name: string, answer: (address: Address) => boolean): CelFunc =>
  celMethod(name, DYN, [], BOOL, function () {
    return answer(read(textOf(this, "ip")));
  });

/** The text that Go writes: lower case, the longest run of zeros left out. */
function write({ family, bits }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join(".");
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  const runs = [...groups.join(":").matchAll(/\b0(:0)+\b/g)].sort((a, b) => b[0].length - a[0].length);
  const [longest] = runs;
  const text = groups.join(":");
  if (longest === undefined) return text;
  const before = text.slice(0, longest.index).replace(/:$/, "");
  return `${before}::${text.slice(longest.index + longest[0].length).replace(/^:/, "")}`;
}

/** @see k8s.io/apiserver/pkg/cel/library/ip.go and cidr.go */
export const networkFunctions: readonly CelFunc[] = [
  celFunc("isIP", [STRING], BOOL, (text) => parse(text) !== undefined),
  celFunc("ip", [STRING], DYN, (text) => opaque("ip", write(read(text)))),
  celFunc("ip.isCanonical", [STRING], BOOL, (text) => write(read(text)) === text),
  celMethod("family", DYN, [], INT, function () {
    return BigInt(read(textOf(this, "ip")).family);
  }),
  ask("isUnspecified", isUnspecified),
  ask("isLoopback", isLoopback),
  ask("isLinkLocalMulticast", isLinkMulticast),
  ask("isLinkLocalUnicast", isLinkLocal),
  ask("isGlobalUnicast", isGlobalUnicast),
  celFunc("isCIDR", [STRING], BOOL, (text) => parseNetwork(text) !== undefined),
  celFunc("cidr", [STRING], DYN, (text) => {
    const { prefix, ...address } = readNetwork(text);
    return opaque("cidr", `${write(address)}/${prefix}`);
  }),
  celMethod("containsIP", DYN, [DYN], BOOL, function (address) {
    const text = typeof address === "string" ? address : textOf(address, "ip");
    return within(read(text), readNetwork(textOf(this, "cidr")));
  }),
  celMethod("containsCIDR", DYN, [DYN], BOOL, function (other) {
    const inner = readNetwork(typeof other === "string" ? other : textOf(other, "cidr"));
    const outer = readNetwork(textOf(this, "cidr"));
    return inner.prefix >= outer.prefix && within(inner, outer);
  }),
  celMethod("ip", DYN, [], DYN, function () {
    return opaque("ip", write(readNetwork(textOf(this, "cidr"))));
  }),
  celMethod("masked", DYN, [], DYN, function () {
    const network = readNetwork(textOf(this, "cidr"));
    const rest = BigInt(width(network) - network.prefix);
    return opaque("cidr", `${write({ ...network, bits: (network.bits >> rest) << rest })}/${network.prefix}`);
  }),
  celMethod("prefixLength", DYN, [], INT, function () {
    return BigInt(readNetwork(textOf(this, "cidr")).prefix);
  }),
  celFunc("string", [DYN], STRING, (value) => textOf(value, kindOf(value) === "cidr" ? "cidr" : "ip")),
];
