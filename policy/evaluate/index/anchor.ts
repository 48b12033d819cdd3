import type { Leaf, Predicate } from "../../model.ts";

/**
 * Leaves one of which holds wherever the predicate does: where none of them holds, the predicate needs no look. Each
 * element of the answer is one such set to choose from.
 */
export function anchorsOf(predicate: Predicate): readonly (readonly Leaf[])[] {
  switch (predicate.kind) {
    case "any":
    case "not":
      return [];
    case "all":
      return predicate.of.flatMap(anchorsOf);
    case "some": {
      const leaves: Leaf[] = [];
      for (const part of predicate.of) {
        const [best] = [...anchorsOf(part)].sort((a, b) => rank(a) - rank(b));
        if (best === undefined) return [];
        leaves.push(...best);
      }
      return [leaves];
    }
    default:
      return isIndexed(predicate) ? [[predicate]] : [];
  }
}

/** Kinds of leaves, those that tell requests apart best first. */
const ranks: Readonly<Record<Leaf["kind"], number>> = {
  path: 0,
  "path-template": 1,
  principal: 2,
  host: 3,
  "service-account": 4,
  "request-principal": 5,
  claim: 6,
  sni: 7,
  namespace: 8,
  "source-ip": 9,
  "remote-ip": 10,
  "destination-ip": 11,
  header: 12,
  metadata: 13,
  "destination-port": 14,
  "trust-domain": 15,
  method: 16,
};

/** The worse of its leaves decides how well a set tells requests apart. */
export function rank(leaves: readonly Leaf[]): number {
  return Math.max(...leaves.map(({ kind }) => ranks[kind]));
}

/** Whether {@link RuleIndex} can look the leaf up. */
function isIndexed(leaf: Leaf): boolean {
  switch (leaf.kind) {
    case "path":
    case "host":
      return leaf.match.kind !== "present";
    case "path-template":
    case "source-ip":
    case "remote-ip":
    case "destination-ip":
    case "destination-port":
      return true;
    case "namespace":
      return !/[*/]/.test(leaf.glob);
    case "service-account":
      return !leaf.name.includes("/") && !leaf.namespace.includes("/");
    case "request-principal":
      return leaf.issuer.kind === "exact" && leaf.subject.kind === "exact";
    case "header":
      return leaf.match.kind === "exact" && !leaf.name.startsWith(":") && leaf.name !== "host";
    case "principal":
    case "claim":
    case "sni":
    case "method":
      return leaf.match.kind === "exact";
    case "trust-domain":
    case "metadata":
      return false;
  }
}
