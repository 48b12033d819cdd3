import type { ResourceRef } from "../api/resource.ts";
import type { Resource } from "./build/resource.ts";
import type { Holding } from "./contract.ts";
import type { DeltaStream } from "./xds/stream.ts";

/** How many of the streams that ask for routes hold those made of `source`, weights included. */
export function programmedIn(
  connections: Iterable<{ readonly stream: DeltaStream }>,
  source: ResourceRef,
): Holding {
  let held = 0;
  let of = 0;
  for (const { stream } of connections) {
    if (!stream.asksFor("route")) continue;
    of += 1;
    const lacksRoutes = stream.lacks("route").some((resource) => isFrom(resource, source));
    // Runtime keys of all canaries are one resource: it counts as a whole.
    if (!lacksRoutes && stream.lacks("runtime").length === 0) held += 1;
  }
  return { held, of };
}

function isFrom({ sources }: Resource, { kind, namespace, name }: ResourceRef): boolean {
  for (const { source } of sources) {
    if (source.kind === kind && source.namespace === namespace && source.name === name) return true;
  }
  return false;
}
