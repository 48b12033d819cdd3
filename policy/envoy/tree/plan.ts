import { byId } from "../../compile/order.ts";
import { anchorsOf } from "../../evaluate/index/anchor.ts";
import type { Leaf, Rule } from "../../model.ts";

/** What a tree looks at first. */
export type Dimension = "path" | "peer";

/** Rules by the beginning of a text: for the longest key that the text begins with, all that may match. */
export interface TreePlan {
  readonly dimension: Dimension;
  readonly leaves: readonly { readonly key: string; readonly rules: readonly Rule[] }[];
  /** Where no key fits. */
  readonly rest: readonly Rule[];
}

/** A leaf with every rule in it: more of them, all leaves together, than this and a list is smaller. */
const mostEntries = 250_000;

/** One place of a rule in a tree. */
interface Key {
  readonly text: string;
  /** For all texts that begin with it, else for it alone. */
  readonly open: boolean;
}

/**
 * Lays rules out by the part that most of them name, paths or callers. Those that name neither stand in every leaf.
 * Undefined where that would not pay.
 */
export function planTree(rules: readonly Rule[], trustDomains: readonly string[]): TreePlan | undefined {
  const plans = (["path", "peer"] as const)
    .map((dimension) => plan(dimension, rules, trustDomains))
    .filter((each) => each.leaves.length > 0)
    .sort((a, b) => a.rest.length - b.rest.length);
  const [best] = plans;
  if (best === undefined) return undefined;
  const entries = best.leaves.reduce((sum, { rules: held }) => sum + held.length, 0);
  return entries > mostEntries || best.rest.length > rules.length / 2 ? undefined : best;
}

function plan(dimension: Dimension, rules: readonly Rule[], trustDomains: readonly string[]): TreePlan {
  const rest: Rule[] = [];
  const places = new Map<string, { readonly open: Rule[]; readonly exact: Rule[] }>();
  for (const rule of rules) {
    const keys = keysOf(dimension, rule, trustDomains);
    if (keys === undefined) rest.push(rule);
    for (const { text, open } of keys ?? []) {
      const place = places.get(text) ?? { open: [], exact: [] };
      place[open ? "open" : "exact"].push(rule);
      places.set(text, place);
    }
  }
  const around: { readonly key: string; readonly open: readonly Rule[] }[] = [];
  const leaves = [...places.keys()].sort().map((key) => {
    while (around.length > 0 && !key.startsWith(around.at(-1)?.key ?? "")) around.pop();
    const { open = [], exact = [] } = places.get(key) ?? {};
    const inherited = around.flatMap((outer) => outer.open);
    around.push({ key, open });
    return { key, rules: [...new Set([...rest, ...inherited, ...open, ...exact])].sort(byId) };
  });
  return { dimension, leaves, rest };
}

/** Where a rule stands, undefined where it may match any text of the dimension. */
function keysOf(
  dimension: Dimension,
  { source, operation }: Rule,
  trustDomains: readonly string[],
): readonly Key[] | undefined {
  const toKeys = dimension === "path" ? pathKeys : peerKeys(trustDomains);
  for (const leaves of anchorsOf(dimension === "path" ? operation : source)) {
    const keys = leaves.map(toKeys);
    if (keys.every((each) => each !== undefined)) return keys.flat();
  }
  return undefined;
}

function pathKeys(leaf: Leaf): readonly Key[] | undefined {
  if (leaf.kind === "path-template")
    return [{ text: leaf.template.slice(0, leaf.template.indexOf("{")), open: true }];
  if (leaf.kind !== "path" || leaf.match.kind === "suffix" || leaf.match.kind === "present") return undefined;
  const { kind, value } = leaf.match;
  // A path has no query, so such a value matches nothing; as a key it would hide shorter ones.
  if (/[?#]/.test(value)) return [];
  return value === "" ? undefined : [{ text: value, open: kind === "prefix" }];
}

/** Callers by their one URI SAN; the leaf compares in full, so a key only needs to be a beginning. */
const peerKeys =
  (trustDomains: readonly string[]) =>
  (leaf: Leaf): readonly Key[] | undefined => {
    const inDomains = (rest: string) =>
      trustDomains.map((domain) => ({ text: `spiffe://${domain}/ns/${rest}`, open: true }));
    switch (leaf.kind) {
      case "principal":
        return leaf.match.kind === "exact"
          ? [{ text: `spiffe://${leaf.match.value}`, open: true }]
          : undefined;
      case "namespace":
        return inDomains(`${leaf.glob}/`);
      case "service-account":
        return inDomains(`${leaf.namespace}/sa/${leaf.name}`);
      default:
        return undefined;
    }
  };
