import { type Canary, CanaryKind } from "../../api/kinds.ts";
import type { Cluster } from "../cluster.ts";
import { UsageError } from "../failure.ts";

/** Reads one Canary. @throws Error that names those of its name elsewhere */
export async function findCanary({ client, namespace }: Cluster, name: string): Promise<Canary> {
  const canary = await client.get(CanaryKind, namespace, name);
  if (canary !== undefined) return canary;
  const all = await client.list(CanaryKind).catch(() => ({ items: [] }));
  const elsewhere = all.items
    .filter(({ metadata }) => metadata.name === name)
    .map(({ metadata }) => metadata.namespace);
  const hint =
    elsewhere.length === 0
      ? ""
      : `; there is one in ${elsewhere.map((other) => `\`${other}\``).join(", ")} (-n)`;
  throw new Error(`canary \`${name}\` does not exist in namespace \`${namespace}\`${hint}`);
}

/** Checks the KIND of commands that know canaries only. */
export function requireCanary(kind: string): void {
  if (isCanary(kind)) return;
  throw new UsageError(`this command knows canaries only, not \`${kind}\``);
}

/** Whether a KIND on the command line means canaries. */
export function isCanary(kind: string): boolean {
  return ["canary", "canaries", "canary.flagger.app", "canaries.flagger.app"].includes(kind.toLowerCase());
}
