import type { Kind, KubeObject } from "../api/resource.ts";
import type { Client } from "../kube/contract.ts";
import type { Writer } from "./carry-out.ts";
import { idleTraffic } from "./decide/traffic.ts";
import { routerOf } from "./routers/choose.ts";
import type { Router } from "./routers/router.ts";
import { isOwned } from "./routers/services.ts";
import type { Subject } from "./subject.ts";
import type { Write } from "./write.ts";

/** What carried the traffic before the Canary named another provider, as long as its objects stand; else undefined. */
export function formerRouter({ canary }: Pick<Subject, "canary">): Router | undefined {
  const { provider } = canary.object.status ?? {};
  return provider === undefined || provider === canary.provider ? undefined : routerOf(provider);
}

/** What of a provider's objects is taken away, and what the user had before and gets back. */
export interface Leaving {
  readonly writes: readonly Write[];
  readonly deletions: readonly { readonly of: Kind; readonly object: KubeObject }[];
}

/**
 * How a provider is left: what was made for this Canary goes, what was taken over is as it was, and of a route of which
 * only the weights were ours none leads to the canary any more. Kinds that the present provider uses too are its own
 * business.
 */
export function leaveProvider(subject: Subject, former: Router): Leaving {
  const { canary, owner, uid, snapshot, router } = subject;
  const route = former.route(canary);
  const isKept = ({ group, kind }: Pick<Kind, "group" | "kind">) =>
    router.kinds.some((present) => present.group === group && present.kind === kind);
  // Services are every provider's: their selectors are kept elsewhere.
  const kinds = former.kinds.filter((kind) => !isKept(kind) && kind.kind !== "Service");
  const deletions = kinds.flatMap((of) =>
    snapshot
      .ownedBy(of, uid)
      .filter((object) => isOwned(object, owner))
      .map((object) => ({ of, object })),
  );
  const present = former.kinds.find(({ kind }) => kind === route.kind);
  const standing = present && snapshot.get(present, route.namespace, route.name);
  if (present === undefined || standing === undefined || isKept(present) || isOwned(standing, owner))
    return { writes: [], deletions };
  const back = former.revert(canary, owner, snapshot);
  return { writes: back.length > 0 ? back : idle(subject, former), deletions };
}

/** Leads a route of the user's to the primary, and takes the run's mark from it. */
function idle({ canary, snapshot }: Subject, former: Router): readonly Write[] {
  const seen = former.observe(canary, idleTraffic, snapshot);
  const writes =
    seen.kind === "present" && !seen.asWanted
      ? [former.setTraffic(canary, idleTraffic, undefined, snapshot)]
      : [former.clearRunMark(canary, snapshot)];
  return writes.flatMap((write) => write ?? []);
}

/** Carries it out. @throws ApiError at the first that fails: the next decision asks for what is still there */
export async function carryOutLeaving(
  { writes, deletions }: Leaving,
  { client, writer }: { readonly client: Pick<Client, "delete">; readonly writer: Writer },
): Promise<void> {
  for (const write of writes) await writer.write(write);
  for (const { of, object } of deletions) {
    const { namespace, name, uid } = object.metadata;
    await client.delete(of, namespace, name, uid === undefined ? {} : { uid });
  }
}
