import type { Problem } from "../../api/resource.ts";
import { mesh } from "../model/caller.ts";
import type { RouteTable } from "../model/route.ts";
import { reportOn } from "./problem.ts";

/**
 * Hosts that two route tables claim for sidecars: of those that one caller sees, the older counts. Gateways put such
 * tables together instead.
 *
 * @param routes oldest first
 */
export function findOverlaps(routes: readonly RouteTable[]): Problem[] {
  const problems: Problem[] = [];
  const claims = new Map<string, RouteTable[]>();
  for (const table of routes) {
    if (!table.gateways.includes(mesh)) continue;
    for (const [index, host] of table.hosts.entries()) {
      const claimed = claims.get(host) ?? [];
      const older = claimed.find((other) => other !== table && shareCallers(other, table));
      if (older !== undefined) {
        const { namespace, name } = older.source;
        reportOn(table.source, problems)
          .at("spec", "hosts")
          .problem(
            String(index),
            `\`${host}\` is claimed by VirtualService \`${namespace}/${name}\`, which is older and counts`,
          );
      }
      claims.set(host, [...claimed, table]);
    }
  }
  return problems;
}

function shareCallers(a: RouteTable, b: RouteTable): boolean {
  if (a.exportTo === undefined || b.exportTo === undefined) return true;
  return a.exportTo.some((namespace) => b.exportTo?.includes(namespace));
}
