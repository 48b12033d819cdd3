import type { GRPCRouteMatch } from "../../../api/generated/grpcroutes.ts";
import type { HttpMatch, PathMatch } from "../../model/route.ts";
import { escaped } from "./filters.ts";
import { readHttpMatches } from "./http-route.ts";

/**
 * The matches of a GRPCRoute's rule, as what gRPC is on the wire: the path `/<service>/<method>`.
 *
 * @see gateway.networking.k8s.io GRPCRouteMatch
 */
export function readGrpcMatches(matches: readonly GRPCRouteMatch[] = []): HttpMatch[] {
  if (matches.length === 0) return readHttpMatches();
  return matches.flatMap(({ method, headers = [] }) => {
    const [match] = readHttpMatches([{ headers }]);
    const { service = "", method: name = "" } = method ?? {};
    const ranked = service !== "" || name !== "";
    const ofGrpc = { service: service.length, method: name.length };
    return match === undefined ? [] : [{ ...match, path: pathOf(method), ...(ranked && { ofGrpc }) }];
  });
}

function pathOf(method: GRPCRouteMatch["method"]): PathMatch {
  const { type = "Exact", service, method: name } = method ?? {};
  if (service === undefined && name === undefined) return { kind: "prefix", value: "/", ignoreCase: false };
  if (type === "RegularExpression")
    return { kind: "regex", value: `/${service ?? "[^/]+"}/${name ?? "[^/]+"}`, ignoreCase: false };
  if (service !== undefined && name !== undefined)
    return { kind: "exact", value: `/${service}/${name}`, ignoreCase: false };
  if (service !== undefined) return { kind: "prefix", value: `/${service}/`, ignoreCase: false };
  return { kind: "regex", value: `/[^/]+/${escaped(name ?? "")}`, ignoreCase: false };
}
