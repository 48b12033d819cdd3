import type { Rule } from "./rules.ts";

/** Chains that are ours alone. */
const own = /^ISTIO_/;

/**
 * Input for `iptables-restore --noflush`: what stands of earlier rules is taken away and the new ones are put in place,
 * each table in one step.
 *
 * @param rules none: only takes away
 * @param saved what `iptables-save` prints now
 */
export function restoreText(rules: readonly Rule[], saved: string): string {
  const before = readSaved(saved);
  const wanted = Map.groupBy(rules, ({ table }) => table);
  return (["mangle", "nat", "raw"] as const)
    .map((table) => {
      const there = before.get(table) ?? { chains: [], jumps: [] };
      const ours = wanted.get(table) ?? [];
      const chains = new Set(ours.map(({ chain }) => chain).filter((chain) => own.test(chain)));
      const gone = there.chains.filter((chain) => !chains.has(chain));
      if (ours.length === 0 && there.chains.length === 0 && there.jumps.length === 0) return "";
      return [
        `*${table}`,
        // Naming a chain empties it.
        ...[...chains, ...gone].map((chain) => `:${chain} - [0:0]`),
        ...there.jumps.map((rule) => `-D ${rule}`),
        ...ours.map(({ chain, place, words }) =>
          place === undefined ? `-A ${chain} ${words}` : `-I ${chain} ${place} ${words}`,
        ),
        ...gone.map((chain) => `-X ${chain}`),
        "COMMIT\n",
      ].join("\n");
    })
    .join("");
}

interface Standing {
  readonly chains: string[];
  /** Rules of the kernel's own chains, without `-A`. */
  readonly jumps: string[];
}

/**
 * What of ours stands in each table. In the kernel's own chains a rule is ours that leads to one of our chains or that
 * only we write: exempt interfaces, and TPROXY's marks.
 */
function readSaved(saved: string): ReadonlyMap<string, Standing> {
  const tables = new Map<string, Standing>();
  let current: Standing = { chains: [], jumps: [] };
  for (const line of saved.split("\n")) {
    const [, table] = /^\*(\w+)/.exec(line) ?? [];
    if (table !== undefined) {
      current = { chains: [], jumps: [] };
      tables.set(table, current);
    }
    const [, chain] = /^:(\S+) - /.exec(line) ?? [];
    if (chain !== undefined && own.test(chain)) current.chains.push(chain);
    const [, rule] = /^-A ((?:PREROUTING|OUTPUT) .*)$/.exec(line) ?? [];
    if (rule !== undefined && isOurs(rule)) current.jumps.push(rule);
  }
  return tables;
}

function isOurs(rule: string): boolean {
  if (/ -j ISTIO_/.test(rule) || /^(PREROUTING -i|OUTPUT -o) \S+ -j RETURN$/.test(rule)) return true;
  return (
    / -j CONNMARK /.test(rule) ||
    / -m owner .* -j MARK /.test(rule) ||
    / -m mark --mark \S+ -j RETURN$/.test(rule) ||
    rule.endsWith(" --ctstate INVALID -j DROP")
  );
}
