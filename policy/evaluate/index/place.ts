import type { Leaf, TextMatch } from "../../model.ts";
import { asciiLowerCase } from "../text.ts";
import { closeHash, hashBackwards, hashText, seedOf } from "./hash.ts";

/** What of a request a place is found by. */
export type Part =
  | "path"
  | "path-prefix"
  | "path-suffix"
  | "host"
  | "host-prefix"
  | "host-suffix"
  | "principal"
  | "namespace"
  | "service-account"
  | "request-principal"
  | "claim"
  | "header"
  | "sni"
  | "method"
  | "destination-port";

/** Where a hash of each part begins. */
export const seeds: Readonly<Record<Part, number>> = {
  path: seedOf("path"),
  "path-prefix": seedOf("path"),
  "path-suffix": seedOf("path-suffix"),
  host: seedOf("host"),
  "host-prefix": seedOf("host"),
  "host-suffix": seedOf("host-suffix"),
  principal: seedOf("principal"),
  namespace: seedOf("namespace"),
  "service-account": seedOf("service-account"),
  "request-principal": seedOf("request-principal"),
  claim: seedOf("claim"),
  header: seedOf("header"),
  sni: seedOf("sni"),
  method: seedOf("method"),
  "destination-port": seedOf("destination-port"),
};

/** A place in the table of an index. */
export interface Place {
  readonly part: Part;
  readonly key: number;
  /** Of a prefix or suffix, in UTF-16 units; else 0. */
  readonly length: number;
}

/**
 * Where a leaf stands in the table; undefined where it is found otherwise (addresses) or not at all.
 *
 * The keys are those that {@link RuleIndex} makes of a request in which the leaf holds.
 */
export function placeOf(leaf: Leaf): Place | undefined {
  const at = (part: Part, text: string): Place => ({
    part,
    key: hashText(seeds[part], text),
    length: 0,
  });
  switch (leaf.kind) {
    case "path":
      return textPlace("path", leaf.match, leaf.match.kind === "present" ? "" : leaf.match.value);
    case "host":
      return textPlace(
        "host",
        leaf.match,
        leaf.match.kind === "present" ? "" : asciiLowerCase(leaf.match.value),
      );
    case "path-template": {
      const prefix = leaf.template.slice(0, leaf.template.indexOf("{"));
      return textPlace("path", { kind: "prefix", value: prefix }, prefix);
    }
    case "principal":
      return at("principal", `spiffe://${exactOf(leaf.match)}`);
    case "method":
      return at("method", exactOf(leaf.match));
    case "sni":
      return at("sni", exactOf(leaf.match));
    case "destination-port":
      return { part: "destination-port", key: hashPort(leaf.port), length: 0 };
    case "request-principal":
      return {
        part: "request-principal",
        key: hashPair(seeds["request-principal"], exactOf(leaf.issuer), exactOf(leaf.subject)),
        length: 0,
      };
    case "namespace":
      return at("namespace", leaf.glob);
    case "service-account":
      return {
        part: "service-account",
        key: hashPair(seeds["service-account"], leaf.namespace, leaf.name),
        length: 0,
      };
    case "header":
      return { part: "header", key: hashPair(seeds.header, leaf.name, exactOf(leaf.match)), length: 0 };
    case "claim":
      return {
        part: "claim",
        key: hashPair(seeds.claim, claimName(leaf.path), exactOf(leaf.match)),
        length: 0,
      };
    case "source-ip":
    case "remote-ip":
    case "destination-ip":
    case "trust-domain":
    case "metadata":
      return undefined;
  }
}

/** Two texts, kept apart. */
export function hashPair(seed: number, first: string, second: string): number {
  return hashText(closeHash(hashText(seed, first)), second);
}

/** TCP ports, 0-65535. */
export function hashPort(port: number): number {
  return closeHash(seeds["destination-port"] ^ port);
}

/** The way to a claim as one text. */
export function claimName(path: readonly string[]): string {
  return JSON.stringify(path);
}

function textPlace(part: "path" | "host", { kind }: TextMatch, value: string): Place {
  switch (kind) {
    case "prefix":
      return { part: `${part}-prefix`, key: hashText(seeds[part], value), length: value.length };
    case "suffix":
      return {
        part: `${part}-suffix`,
        key: hashBackwards(seeds[`${part}-suffix`], value),
        length: value.length,
      };
    default:
      return { part, key: closeHash(hashText(seeds[part], value)), length: 0 };
  }
}

function exactOf(match: TextMatch): string {
  return match.kind === "present" ? "" : match.value;
}
