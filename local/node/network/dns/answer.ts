import { isIPv4 } from "node:net";
import type { Answer, DecodedPacket, Packet } from "dns-packet";
import * as dns from "dns-packet";
import { clusterDomain, type Zone, type ZoneEntry } from "./zone.ts";

/** Seconds that an answer may be kept: as in CoreDNS' Kubernetes plug-in. */
const ttl = 5;
/** Largest answer over UDP to who names no size of its own. */
const plainSize = 512;
const largestSize = 4096;
/** Response codes of RFC 1035 §4.1.1. */
const code = { none: 0, formatError: 1, nameError: 3, notImplemented: 4, refused: 5 } as const;

/**
 * Answers one question about the cluster's domain; what is outside of it is refused, and nobody else is asked.
 *
 * @param message as it came; one that cannot be read gets no answer
 * @param limit bytes that the way back carries; a longer answer is cut and marked so, for UDP
 */
export function answerQuery(message: Uint8Array, zone: Zone, limit?: number): Uint8Array | undefined {
  let query: DecodedPacket;
  try {
    query = dns.decode(Buffer.from(message));
  } catch {
    return undefined;
  }
  if (query.type !== "query") return undefined;
  const options = query.additionals?.find(({ type }) => type === "OPT");
  const asked = options?.type === "OPT" ? options.udpPayloadSize : plainSize;
  const size = limit === undefined ? undefined : Math.min(Math.max(asked, plainSize), limit, largestSize);
  // A standard query is 0: bits 3-6 of the third byte.
  const operation = ((message[2] ?? 0) >> 3) & 0xf;
  const result = resolve(query, operation, zone);
  const encode = (packet: Packet, extra: number) =>
    dns.encode({
      ...packet,
      id: query.id ?? 0,
      type: "response",
      questions: query.questions ?? [],
      flags: ((query.flags ?? 0) & dns.RECURSION_DESIRED) | dns.AUTHORITATIVE_ANSWER | extra,
      ...(options === undefined ? {} : { additionals: [optRecord] }),
    });
  const whole = encode(result.packet, result.code);
  return size !== undefined && whole.length > size ? encode({}, dns.TRUNCATED_RESPONSE) : whole;
}

const optRecord = {
  type: "OPT" as const,
  name: ".",
  udpPayloadSize: largestSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: 0,
  flag_do: false,
  options: [],
};

interface Result {
  readonly code: number;
  readonly packet: Partial<Pick<Packet, "answers" | "authorities">>;
}

function resolve(query: DecodedPacket, operation: number, zone: Zone): Result {
  const [question, ...more] = query.questions ?? [];
  if (question === undefined || more.length > 0) return { code: code.formatError, packet: {} };
  if (operation !== 0) return { code: code.notImplemented, packet: {} };
  const name = question.name.toLowerCase().replace(/\.$/, "");
  const ours = name === clusterDomain || name.endsWith(`.${clusterDomain}`);
  const entry = Object.hasOwn(zone, name) ? zone[name] : podEntry(name);
  if (entry === undefined) {
    if (!ours) return { code: code.refused, packet: {} };
    const inner = Object.keys(zone).some((other) => other.endsWith(`.${name}`));
    return {
      code: name === clusterDomain || inner ? code.none : code.nameError,
      packet: { authorities: [authority] },
    };
  }
  const answers = recordsOf(question.name, question.type, entry, zone);
  return { code: code.none, packet: answers.length > 0 ? { answers } : { authorities: [authority] } };
}

/** `10-77-1-2.demo.pod.cluster.local` stands for its address, whether there is such a pod or not. */
function podEntry(name: string): ZoneEntry | undefined {
  const [, dashed] = /^(\d+-\d+-\d+-\d+)\.[^.]+\.pod\.cluster\.local$/.exec(name) ?? [];
  const address = dashed?.replaceAll("-", ".") ?? "";
  return isIPv4(address) ? { addresses: [address] } : undefined;
}

function recordsOf(name: string, type: string, entry: ZoneEntry, zone: Zone): Answer[] {
  const { addresses = [], services = [], pointers = [], alias } = entry;
  if (alias !== undefined) {
    const target = Object.hasOwn(zone, alias) ? zone[alias] : undefined;
    // One step: an alias of an alias is left to who asks.
    const behind =
      target === undefined || target.alias !== undefined ? [] : recordsOf(alias, type, target, zone);
    return [{ type: "CNAME", class: "IN", name, ttl, data: alias }, ...behind];
  }
  switch (type) {
    case "A":
      return addresses.map((data) => ({ type: "A", class: "IN", name, ttl, data }));
    case "SRV":
      return services.map(({ port, target }) => ({
        ...{ type: "SRV" as const, class: "IN" as const, name, ttl },
        data: { priority: 0, weight: 100, port, target },
      }));
    case "PTR":
      return pointers.map((data) => ({ type: "PTR", class: "IN", name, ttl, data }));
    default:
      return [];
  }
}

/** Says for how long it may be believed that something is not there. */
const authority: Answer = {
  type: "SOA",
  class: "IN",
  name: clusterDomain,
  ttl,
  data: {
    mname: `ns.dns.${clusterDomain}`,
    rname: `hostmaster.${clusterDomain}`,
    serial: 1,
    refresh: 7200,
    retry: 1800,
    expire: 86_400,
    minimum: ttl,
  },
};
