import { orderOf } from "../../compile/order.ts";
import type { Leaf, Rule } from "../../model.ts";
import type { Facts } from "../facts.ts";
import { type Test, test } from "../predicate.ts";
import { anchorsOf, rank } from "./anchor.ts";
import { CidrTree } from "./cidr.ts";
import { closeHash, hashBackwards, hashText, Lengths } from "./hash.ts";
import { claimName, hashPair, hashPort, type Part, type Place, placeOf, seeds } from "./place.ts";

/** So many rules at a place are as bad as more of them: they are not counted further. */
const crowded = 64;

/** A rule made ready, with the places where it stands in the index. */
interface Entry {
  readonly id: string;
  readonly order: string;
  readonly matches: Test;
  readonly places: Place[];
  /** Lists of addresses, or of what is looked at each time. */
  readonly lists: Entry[][];
}

/** A rule at one place of the table, and the next one there. */
interface Slot {
  readonly entry: Entry;
  readonly matches: Test;
  readonly next: Slot | undefined;
}

/**
 * Rules of one action, found by what a request has: paths and hosts by prefix and suffix, principals, service accounts,
 * namespaces, tokens, headers, ports and methods by value, addresses by block. A rule without such a part is looked at
 * each time. The cost follows the rules that may match, not their number.
 *
 * All texts share one table by hash. A prefix is met while the text is hashed, at the lengths that prefixes have, so
 * nothing is cut out of the request and one walk along a path finds all: a third of the time of a tree of nodes, whose
 * every step is a miss of the processor's cache.
 */
export class RuleIndex {
  private readonly rest: Entry[] = [];
  private readonly table = new Map<number, Slot>();
  private readonly blocks = {
    "source-ip": new CidrTree<Entry>(),
    "remote-ip": new CidrTree<Entry>(),
    "destination-ip": new CidrTree<Entry>(),
  };
  /** Whether there was ever a block of a kind. */
  private readonly hasBlocks = { "source-ip": false, "remote-ip": false, "destination-ip": false };
  /** How many places are found by each part: what nobody asks for is not looked up. */
  private readonly used: Record<Part, number> = {
    path: 0,
    "path-prefix": 0,
    "path-suffix": 0,
    host: 0,
    "host-prefix": 0,
    "host-suffix": 0,
    principal: 0,
    namespace: 0,
    "service-account": 0,
    "request-principal": 0,
    claim: 0,
    header: 0,
    sni: 0,
    method: 0,
    "destination-port": 0,
  };
  private readonly lengths = {
    "path-prefix": new Lengths(),
    "path-suffix": new Lengths(),
    "host-prefix": new Lengths(),
    "host-suffix": new Lengths(),
  };
  /** Names of headers that are looked up, and claims by name; they stay, as they are few. */
  private readonly headers = new Set<string>();
  private readonly claims = new Map<string, readonly string[]>();
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
    const entry: Entry = { id: rule.id, order: orderOf(rule.id), matches, places: [], lists: [] };
    const leaves = this.leavesFor(rule);
    if (leaves === undefined) this.list(this.rest, entry);
    for (const leaf of leaves ?? []) this.put(leaf, entry);
    this.entries.set(rule.id, entry);
  }

  remove(id: string): void {
    const entry = this.entries.get(id);
    if (entry === undefined) return;
    for (const list of entry.lists) list.splice(list.indexOf(entry), 1);
    for (const { part, key, length } of entry.places) {
      const slot = without(this.table.get(key), entry);
      if (slot === undefined) this.table.delete(key);
      else this.table.set(key, slot);
      this.used[part] -= 1;
      if (isOfLength(part)) this.lengths[part].drop(length);
    }
    this.entries.delete(id);
  }

  /** The id of the first rule, by byte order of ids, that matches; null where none does. */
  first(facts: Facts): string | null {
    if (this.entries.size === 0) return null;
    this.found = undefined;
    this.facts = facts;
    if (this.rest.length > 0) this.look(this.rest);
    const { request } = facts;
    const { used } = this;
    const { lengths } = this;
    if (used.path > 0 || used["path-prefix"] > 0)
      this.lookAtText(facts.path, seeds.path, used.path, lengths["path-prefix"].sorted);
    if (used["path-suffix"] > 0)
      this.lookAtEnd(facts.path, seeds["path-suffix"], lengths["path-suffix"].sorted);
    if (used.host > 0 || used["host-prefix"] > 0)
      this.lookAtText(facts.host, seeds.host, used.host, lengths["host-prefix"].sorted);
    if (used["host-suffix"] > 0)
      this.lookAtEnd(facts.host, seeds["host-suffix"], lengths["host-suffix"].sorted);
    if (used.method > 0) this.lookAt(hashText(seeds.method, request.method));
    if (used.sni > 0) this.lookAt(hashText(seeds.sni, request.sni));
    if (used["destination-port"] > 0) this.lookAt(hashPort(request.destination.port));
    if (request.identities !== undefined) this.lookAtPeer(request.identities);
    if (used["request-principal"] > 0 || used.claim > 0) this.lookAtClaims(request.claims);
    if (used.header > 0)
      for (const name of this.headers)
        for (const line of request.headers.get(name) ?? []) this.lookAt(hashPair(seeds.header, name, line));
    if (this.hasBlocks["source-ip"]) this.blocks["source-ip"].visit(request.sourceIp, this.look);
    if (this.hasBlocks["remote-ip"]) this.blocks["remote-ip"].visit(request.remoteIp, this.look);
    if (this.hasBlocks["destination-ip"])
      this.blocks["destination-ip"].visit(request.destination.ip, this.look);
    return this.result();
  }

  private result(): string | null {
    return this.found?.id ?? null;
  }

  /** Looks whether one of these is better than the best so far. */
  private readonly look = (entries: readonly Entry[]): void => {
    if (this.facts === undefined) return;
    for (const entry of entries) {
      if (this.found !== undefined && this.found.order <= entry.order) continue;
      if (entry.matches(this.facts)) this.found = entry;
    }
  };

  private lookAt(key: number): void {
    const { facts } = this;
    if (facts === undefined) return;
    for (let slot = this.table.get(key); slot !== undefined; slot = slot.next) {
      if (this.found !== undefined && this.found.order <= slot.entry.order) continue;
      if (slot.matches(facts)) this.found = slot.entry;
    }
  }

  private lookAtText(text: string, seed: number, exact: number, prefixes: readonly number[]): void {
    let hash = seed;
    let at = 0;
    for (const length of prefixes) {
      if (length > text.length) break;
      hash = hashText(hash, text, at, length);
      at = length;
      this.lookAt(hash);
    }
    if (exact > 0) this.lookAt(closeHash(hashText(hash, text, at)));
  }

  private lookAtEnd(text: string, seed: number, suffixes: readonly number[]): void {
    for (const length of suffixes) {
      if (length > text.length) break;
      this.lookAt(hashBackwards(seed, text, text.length - length));
    }
  }

  private lookAtPeer(identities: readonly string[]): void {
    const { used } = this;
    for (const identity of identities) {
      if (used.principal > 0) this.lookAt(hashText(seeds.principal, identity));
      if (used.namespace === 0 && used["service-account"] === 0) continue;
      for (let at = identity.indexOf("/ns/"); at >= 0; at = identity.indexOf("/ns/", at + 1)) {
        const end = identity.indexOf("/", at + 4);
        if (end < 0) break;
        if (used.namespace > 0) this.lookAt(hashText(seeds.namespace, identity, at + 4, end));
        if (used["service-account"] > 0) {
          const seed = closeHash(hashText(seeds["service-account"], identity, at + 4, end));
          this.lookAtAccounts(seed, identity, end + 1);
        }
      }
    }
  }

  private lookAtAccounts(seed: number, identity: string, from: number): void {
    for (let at = identity.indexOf("sa/", from); at >= 0; at = identity.indexOf("sa/", at + 1)) {
      const end = identity.indexOf("/", at + 3);
      this.lookAt(hashText(seed, identity, at + 3, end < 0 ? identity.length : end));
    }
  }

  private lookAtClaims(claims: Readonly<Record<string, unknown>> | undefined): void {
    if (claims === undefined) return;
    if (typeof claims.iss === "string" && typeof claims.sub === "string")
      this.lookAt(hashPair(seeds["request-principal"], claims.iss, claims.sub));
    for (const [name, path] of this.claims) {
      const value = claimAt(claims, path);
      const lookAt = (text: unknown): void => {
        if (typeof text === "string") this.lookAt(hashPair(seeds.claim, name, text));
      };
      if (Array.isArray(value)) value.forEach(lookAt);
      else lookAt(value);
    }
  }

  /** What to find a rule by: of its anchors the one whose places are emptiest; undefined where it has none. */
  private leavesFor({ source, operation }: Rule): readonly Leaf[] | undefined {
    const anchors = [...anchorsOf(operation), ...anchorsOf(source)];
    const [only] = anchors;
    if (anchors.length < 2) return only;
    return anchors
      .map((leaves) => ({ leaves, size: Math.max(...leaves.map((leaf) => this.sizeAt(leaf))) }))
      .sort((a, b) => a.size - b.size || rank(a.leaves) - rank(b.leaves))[0]?.leaves;
  }

  private sizeAt(leaf: Leaf): number {
    if (isAddress(leaf)) return this.blocks[leaf.kind].at(leaf.block).length;
    const place = placeOf(leaf);
    if (place === undefined) return this.rest.length;
    let size = 0;
    for (let slot = this.table.get(place.key); slot && size < crowded; slot = slot.next) size += 1;
    return size;
  }

  private put(leaf: Leaf, entry: Entry): void {
    if (isAddress(leaf)) {
      this.hasBlocks[leaf.kind] = true;
      this.list(this.blocks[leaf.kind].at(leaf.block), entry);
      return;
    }
    const place = placeOf(leaf);
    if (place === undefined) this.list(this.rest, entry);
    else this.putAt(place, leaf, entry);
  }

  private putAt(place: Place, leaf: Leaf, entry: Entry): void {
    const { part, key, length } = place;
    const first = this.table.get(key);
    if (first?.entry === entry) return;
    this.table.set(key, { entry, matches: entry.matches, next: first });
    entry.places.push(place);
    this.used[part] += 1;
    if (isOfLength(part)) this.lengths[part].add(length);
    if (leaf.kind === "header") this.headers.add(leaf.name);
    if (leaf.kind === "claim") this.claims.set(claimName(leaf.path), leaf.path);
  }

  private list(list: Entry[], entry: Entry): void {
    // Only this rule is being added, so it stands last where it stands.
    if (list.at(-1) === entry) return;
    list.push(entry);
    entry.lists.push(list);
  }
}

/** A chain without a rule. */
function without(slot: Slot | undefined, entry: Entry): Slot | undefined {
  const kept: Slot[] = [];
  for (let at = slot; at !== undefined; at = at.next) if (at.entry !== entry) kept.push(at);
  return kept.reduceRight<Slot | undefined>(
    (next, { entry: other, matches }) => ({ entry: other, matches, next }),
    undefined,
  );
}

function isOfLength(part: Part): part is "path-prefix" | "path-suffix" | "host-prefix" | "host-suffix" {
  return part.endsWith("fix");
}

type Address = Extract<Leaf, { readonly block: unknown }>;

function isAddress(leaf: Leaf): leaf is Address {
  return "block" in leaf;
}

function claimAt(claims: Readonly<Record<string, unknown>>, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = Reflect.get(value, key);
  }
  return value;
}
