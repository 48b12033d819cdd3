import { orderOf } from "../../compile/order.ts";
import type { Leaf, Rule, TextMatch } from "../../model.ts";
import type { Facts } from "../facts.ts";
import { type Test, test } from "../predicate.ts";
import { asciiLowerCase } from "../text.ts";
import { anchorsOf, rank } from "./anchor.ts";
import { CidrTree } from "./cidr.ts";
import { Radix } from "./radix.ts";

/** A rule made ready, with the places where it stands in the index. */
interface Entry {
  readonly id: string;
  readonly order: string;
  readonly matches: Test;
  readonly places: Entry[][];
}

/** By UTF-16 units: both sides of a comparison are turned alike. */
const reverse = (text: string): string => text.split("").reverse().join("");

/**
 * Rules of one action, found by what a request has: paths and hosts by prefix and suffix, principals, service accounts,
 * namespaces, tokens, headers, ports and methods by value, addresses by block. A rule without such a part is looked at
 * each time. The cost follows the rules that may match, not their number.
 */
export class RuleIndex {
  private readonly rest: Entry[] = [];
  private readonly values = new Map<string, Entry[]>();
  private readonly namespaces = new Map<string, Entry[]>();
  private readonly accounts = new Map<string, Map<string, Entry[]>>();
  private readonly prefixes = { path: new Radix<Entry>(), host: new Radix<Entry>() };
  private readonly suffixes = { path: new Radix<Entry>(), host: new Radix<Entry>() };
  private readonly blocks = {
    "source-ip": new CidrTree<Entry>(),
    "remote-ip": new CidrTree<Entry>(),
    "destination-ip": new CidrTree<Entry>(),
  };
  private readonly headers = new Map<string, Map<string, Entry[]>>();
  private readonly claims = new Map<string, { path: readonly string[]; values: Map<string, Entry[]> }>();
  private readonly used = new Set<Leaf["kind"] | "suffix">();
  private readonly entries = new Map<string, Entry>();
  /** The best so far while a request is looked at. */
  private found: Entry | undefined;
  private facts: Facts | undefined;

  constructor(rules: readonly Rule[] = []) {
    for (const rule of rules) this.add(rule);
  }

  /** Puts a rule in; one of the same id is replaced. */
  add(rule: Rule): void {
    this.remove(rule.id);
    const operation = test(rule.operation);
    const source = test(rule.source);
    const matches: Test =
      rule.source.kind === "any"
        ? operation
        : rule.operation.kind === "any"
          ? source
          : (facts) => operation(facts) && source(facts);
    const entry: Entry = { id: rule.id, order: orderOf(rule.id), matches, places: [] };
    for (const place of this.placesFor(rule)) {
      place.push(entry);
      entry.places.push(place);
    }
    this.entries.set(rule.id, entry);
  }

  remove(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    for (const place of entry.places) place.splice(place.indexOf(entry), 1);
    this.entries.delete(id);
  }

  /** The id of the first rule, by byte order of ids, that matches; null where none does. */
  first(facts: Facts): string | null {
    this.found = undefined;
    this.facts = facts;
    this.look(this.rest);
    const { request, path, host } = facts;
    const { used } = this;
    if (used.has("path")) {
      this.lookAt("p", path);
      this.prefixes.path.visit(path, this.look);
    }
    if (used.has("host")) {
      this.lookAt("h", host);
      this.prefixes.host.visit(host, this.look);
    }
    if (used.has("suffix")) {
      this.suffixes.path.visit(reverse(path), this.look);
      this.suffixes.host.visit(reverse(host), this.look);
    }
    if (used.has("method")) this.lookAt("m", request.method);
    if (used.has("sni")) this.lookAt("s", request.sni);
    if (used.has("destination-port")) this.lookAt("t", String(request.destination.port));
    if (request.identities !== undefined) this.lookAtPeer(request.identities);
    if (used.has("request-principal") || used.has("claim")) this.lookAtClaims(request.claims);
    for (const [name, values] of this.headers)
      for (const line of request.headers.get(name) ?? []) this.look(values.get(line));
    if (used.has("source-ip")) this.blocks["source-ip"].visit(request.sourceIp, this.look);
    if (used.has("remote-ip")) this.blocks["remote-ip"].visit(request.remoteIp, this.look);
    if (used.has("destination-ip")) this.blocks["destination-ip"].visit(request.destination.ip, this.look);
    return this.result();
  }

  private result(): string | null {
    return this.found?.id ?? null;
  }

  /** Looks whether one of these is better than the best so far. */
  private readonly look = (entries: readonly Entry[] | undefined): void => {
    if (entries === undefined || this.facts === undefined) return;
    for (const entry of entries) {
      if (this.found !== undefined && this.found.order <= entry.order) continue;
      if (entry.matches(this.facts)) this.found = entry;
    }
  };

  private lookAt(kind: string, value: string): void {
    this.look(this.values.get(kind + value));
  }

  private lookAtPeer(identities: readonly string[]): void {
    for (const identity of identities) {
      if (this.used.has("principal")) this.lookAt("i", identity);
      if (this.namespaces.size === 0 && this.accounts.size === 0) continue;
      for (let at = identity.indexOf("/ns/"); at >= 0; at = identity.indexOf("/ns/", at + 1)) {
        const end = identity.indexOf("/", at + 4);
        if (end < 0) break;
        const namespace = identity.slice(at + 4, end);
        this.look(this.namespaces.get(namespace));
        const accounts = this.accounts.get(namespace);
        if (accounts !== undefined) this.lookAtAccounts(accounts, identity, end + 1);
      }
    }
  }

  private lookAtAccounts(accounts: ReadonlyMap<string, Entry[]>, identity: string, from: number): void {
    for (let at = identity.indexOf("sa/", from); at >= 0; at = identity.indexOf("sa/", at + 1)) {
      const end = identity.indexOf("/", at + 3);
      this.look(accounts.get(identity.slice(at + 3, end < 0 ? undefined : end)));
    }
  }

  private lookAtClaims(claims: Readonly<Record<string, unknown>> | undefined): void {
    if (claims === undefined) return;
    if (typeof claims.iss === "string" && typeof claims.sub === "string")
      this.lookAt("r", `${claims.iss}\n${claims.sub}`);
    for (const { path, values } of this.claims.values()) {
      const value = claimAt(claims, path);
      if (typeof value === "string") this.look(values.get(value));
      else if (Array.isArray(value))
        for (const element of value) if (typeof element === "string") this.look(values.get(element));
    }
  }

  /** Where to put a rule: of its anchors the one whose places are emptiest. */
  private placesFor({ source, operation }: Rule): Entry[][] {
    const choices = [...anchorsOf(operation), ...anchorsOf(source)]
      .map((leaves) => ({ leaves, size: Math.max(...leaves.map((leaf) => this.sizeAt(leaf))) }))
      .sort((a, b) => a.size - b.size || rank(a.leaves) - rank(b.leaves));
    const [best] = choices;
    if (best === undefined) return [this.rest];
    return [...new Set(best.leaves.map((leaf) => this.placeOf(leaf)))];
  }

  private sizeAt(leaf: Leaf): number {
    return this.placeOf(leaf).length;
  }

  /** The place of a leaf; made where there is none yet. */
  private placeOf(leaf: Leaf): Entry[] {
    this.used.add(leaf.kind === "path-template" ? "path" : leaf.kind);
    switch (leaf.kind) {
      case "path":
        return this.textPlace("path", "p", leaf.match, (text) => text);
      case "host":
        return this.textPlace("host", "h", leaf.match, asciiLowerCase);
      case "path-template":
        return this.prefixes.path.at(leaf.template.slice(0, leaf.template.indexOf("{")));
      case "principal":
        return this.valuePlace("i", `spiffe://${exactOf(leaf.match)}`);
      case "method":
        return this.valuePlace("m", exactOf(leaf.match));
      case "sni":
        return this.valuePlace("s", exactOf(leaf.match));
      case "destination-port":
        return this.valuePlace("t", String(leaf.port));
      case "request-principal":
        return this.valuePlace("r", `${exactOf(leaf.issuer)}\n${exactOf(leaf.subject)}`);
      case "namespace":
        return placeIn(this.namespaces, leaf.glob);
      case "service-account": {
        const accounts = this.accounts.get(leaf.namespace) ?? new Map<string, Entry[]>();
        this.accounts.set(leaf.namespace, accounts);
        return placeIn(accounts, leaf.name);
      }
      case "header": {
        const values = this.headers.get(leaf.name) ?? new Map<string, Entry[]>();
        this.headers.set(leaf.name, values);
        return placeIn(values, exactOf(leaf.match));
      }
      case "claim": {
        const key = JSON.stringify(leaf.path);
        const claim = this.claims.get(key) ?? { path: leaf.path, values: new Map<string, Entry[]>() };
        this.claims.set(key, claim);
        return placeIn(claim.values, exactOf(leaf.match));
      }
      case "source-ip":
      case "remote-ip":
      case "destination-ip":
        return this.blocks[leaf.kind].at(leaf.block);
      case "trust-domain":
      case "metadata":
        return this.rest;
    }
  }

  private textPlace(
    kind: "path" | "host",
    letter: string,
    match: TextMatch,
    fold: (text: string) => string,
  ): Entry[] {
    if (match.kind === "present") return this.rest;
    const value = fold(match.value);
    if (match.kind === "exact") return this.valuePlace(letter, value);
    if (match.kind === "prefix") return this.prefixes[kind].at(value);
    this.used.add("suffix");
    return this.suffixes[kind].at(reverse(value));
  }

  private valuePlace(kind: string, value: string): Entry[] {
    return placeIn(this.values, kind + value);
  }
}

function exactOf(match: TextMatch): string {
  return match.kind === "present" ? "" : match.value;
}

function placeIn(map: Map<string, Entry[]>, key: string): Entry[] {
  let place = map.get(key);
  if (place === undefined) {
    place = [];
    map.set(key, place);
  }
  return place;
}

function claimAt(claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
