import { serviceHost } from "../../model/names.ts";
import type { Destination, HeaderChanges } from "../../model/route.ts";
import type { Service } from "../../model/service.ts";
import { gatewayGroup, type Unresolved } from "./conditions.ts";
import type { MayRefer } from "./grants.ts";

export interface BackendRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
}

/** From where references are made, and what they may lead to. */
export interface RouteSurroundings {
  readonly kind: string;
  readonly namespace: string;
  /** Of the route; empty: any. */
  readonly hostnames: readonly string[];
  /** Of Services' hosts, e.g. `cluster.local`. */
  readonly domain: string;
  readonly mayRefer: MayRefer;
  readonly services: ReadonlyMap<string, Service>;
}

/** Host of what cannot be resolved: no cluster has it, so its share of the requests is answered with 500, of a GRPCRoute as UNAVAILABLE. */
export const invalidBackend = "invalid-backend.invalid";

export const unchangedHeaders: HeaderChanges = {
  request: { set: [], add: [], remove: [] },
  response: { set: [], add: [], remove: [] },
};

/** Where a backendRef leads; what is wrong with it is added to `faults`, and its place is kept. */
export function resolveBackend(
  ref: BackendRef,
  { kind: from, namespace: own, domain, mayRefer, services }: RouteSurroundings,
  faults: Unresolved[],
): Pick<Destination, "host" | "subset" | "port"> {
  const { group = "", kind = "Service", name, namespace = own, port } = ref;
  const invalid = (reason: string, message: string) => {
    faults.push({ reason, message });
    return { host: invalidBackend, subset: undefined, port: 80 };
  };
  if (group !== "" || kind !== "Service")
    return invalid("InvalidKind", `backend \`${name}\` is a \`${group}/${kind}\`, must be a Service`);
  const target = { group, kind, namespace, name };
  if (!mayRefer({ group: gatewayGroup, kind: from, namespace: own }, target)) {
    const message = `no ReferenceGrant in \`${namespace}\` lets ${from}s of \`${own}\` use Service \`${name}\``;
    return invalid("RefNotPermitted", message);
  }
  const host = serviceHost(name, namespace, domain);
  const service = services.get(host);
  if (service === undefined) return invalid("BackendNotFound", `no Service \`${namespace}/${name}\` exists`);
  if (port === undefined) return invalid("InvalidKind", `backend \`${name}\` names no port`);
  if (!service.ports.some(({ number }) => number === port))
    return invalid("BackendNotFound", `Service \`${namespace}/${name}\` has no port ${port}`);
  return { host, subset: undefined, port };
}
