import { fromBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { ClusterLoadAssignmentSchema } from "../../envoy/generated/envoy/config/endpoint/v3/endpoint_pb.js";
import { type Resource, type ResourceType, resourceTypes } from "../build/resource.ts";
import type { InspectedProxy, Mesh } from "../contract.ts";
import type { DumpedResource, EndpointsOf, ProxyDump, SyncStatus } from "./contract.ts";
import { redactedResource } from "./redact.ts";

export interface Page {
  readonly status: number;
  /** JSON, or a line of text where `status` is no 200. */
  readonly body: string;
}

/** The paths of {@link debugPage}. */
export const debugPaths: readonly string[] = ["/debug/syncz", "/debug/config_dump", "/debug/endpointz"];

/**
 * `/debug/syncz[?proxyID=]`: what each proxy holds; `/debug/config_dump?proxyID=[&type=]`: what one should hold;
 * `/debug/endpointz[?proxyID=]`: endpoints by service, or by the clusters of one proxy. `proxyID` is `<namespace>/<pod>`,
 * Istio's `<pod>.<namespace>` or a node id. They tell of the proxies of this replica alone.
 */
export function debugPage(
  mesh: Pick<Mesh, "inspect" | "model">,
  path: string,
  parameters: URLSearchParams,
): Page {
  const connected = mesh.inspect();
  const id = parameters.get("proxyID");
  const chosen = id === null ? connected : connected.filter(({ proxy }) => isMeant(proxy, id));
  if (id !== null && chosen.length === 0) return { status: 404, body: whyNobody(id, connected) };
  if (path === "/debug/syncz") return json(chosen.map(syncStatus));
  const one = id === null ? undefined : newest(chosen);
  if (path === "/debug/endpointz")
    return json(one ? endpointsOfProxy(one) : endpointsOfServices(mesh.model()));
  if (one === undefined) return { status: 400, body: "say which proxy: ?proxyID=<namespace>/<pod>" };
  const type = parameters.get("type");
  const types = type === null ? resourceTypes : resourceTypes.filter((known) => known === type);
  if (types.length === 0)
    return { status: 400, body: `type \`${type}\` is none of ${resourceTypes.join(", ")}` };
  return json(dump(one, types));
}

const json = (value: unknown): Page => ({ status: 200, body: JSON.stringify(value) });

const nameOf = ({ namespace, pod }: InspectedProxy["proxy"]): string => `${namespace}/${pod}`;

function isMeant(proxy: InspectedProxy["proxy"], id: string): boolean {
  return id === proxy.id || id === nameOf(proxy) || id === `${proxy.pod}.${proxy.namespace}`;
}

/** A proxy that reconnects has two streams until the older one is noticed to be gone. */
function newest(streams: readonly InspectedProxy[]): InspectedProxy | undefined {
  return streams.toSorted((a, b) => b.since - a.since)[0];
}

function whyNobody(id: string, connected: readonly InspectedProxy[]): string {
  const names = connected.map(({ proxy }) => nameOf(proxy)).sort();
  const shown = names.slice(0, 5).join(", ") + (names.length > 5 ? ` and ${names.length - 5} more` : "");
  return `no proxy \`${id}\` is connected; ${names.length === 0 ? "none is" : `there are ${shown}`}`;
}

const sinceOf = (since: number): string => new Date(since).toISOString();

function syncStatus(inspected: InspectedProxy): SyncStatus {
  const { proxy, since } = inspected;
  const types: { -readonly [Key in keyof SyncStatus["types"]]: SyncStatus["types"][Key] } = {};
  let synced = true;
  for (const type of resourceTypes) {
    const state = inspected.stateOf(type);
    if (state === undefined) continue;
    const refused = inspected.refused(type);
    types[type] = { ...state, ...(refused !== undefined && { refused }) };
    // A certificate that does not exist yet is no reason to wait for its proxy.
    if (type !== "secret") synced &&= state.synced;
  }
  return { proxy: nameOf(proxy), id: proxy.id, kind: proxy.kind, since: sinceOf(since), synced, types };
}

function dump(inspected: InspectedProxy, types: readonly ResourceType[]): ProxyDump {
  const { proxy, since } = inspected;
  const resources = types.map((type): readonly [ResourceType, readonly DumpedResource[]] => [
    type,
    inspected.wanted(type).map(({ resource, held }) => ({
      name: resource.name,
      version: resource.version,
      held,
      resource: redactedResource(resource),
    })),
  ]);
  return {
    proxy: nameOf(proxy),
    id: proxy.id,
    since: sinceOf(since),
    resources: Object.fromEntries(resources),
  };
}

function endpointsOfProxy(inspected: InspectedProxy): readonly EndpointsOf[] {
  return inspected.wanted("endpoint").map(({ resource }) => endpointsOfCluster(resource));
}

function endpointsOfCluster({ name, any }: Resource): EndpointsOf {
  const assignment = fromBinary(ClusterLoadAssignmentSchema, fromBinary(AnySchema, any).value);
  const endpoints = assignment.endpoints
    .flatMap(({ lbEndpoints }) => lbEndpoints)
    .flatMap(({ hostIdentifier: host, loadBalancingWeight: weight = 1 }) => {
      const address = host.case === "endpoint" ? host.value.address?.address : undefined;
      if (address?.case !== "socketAddress" || address.value.portSpecifier.case !== "portValue") return [];
      return [{ address: address.value.address, port: address.value.portSpecifier.value, weight }];
    });
  return { name, endpoints };
}

function endpointsOfServices({ endpoints }: ReturnType<Mesh["model"]>): readonly EndpointsOf[] {
  return Array.from(endpoints, ([host, { byPort }]) =>
    Array.from(byPort, ([port, list]) => ({
      name: `${host}:${port}`,
      endpoints: list.map(({ address, port: target, weight = 1 }) => ({ address, port: target, weight })),
    })),
  ).flat();
}
