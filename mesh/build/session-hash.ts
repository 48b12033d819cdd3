import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RouteAction_HashPolicySchema } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { SessionHash } from "../model/destination-policy.ts";
import { durationFromMs } from "./values.ts";

/**
 * What of a request chooses its endpoint, as its route says it. A cookie with a time to live is made by Envoy for who
 * brings none.
 *
 * @see envoy.config.route.v3.RouteAction.HashPolicy
 */
export function buildHashPolicy({ by }: SessionHash): MessageInitShape<typeof RouteAction_HashPolicySchema> {
  switch (by.kind) {
    case "header":
      return { policySpecifier: { case: "header", value: { headerName: by.name } } };
    case "query-parameter":
      return { policySpecifier: { case: "queryParameter", value: { name: by.name } } };
    case "source-ip":
      return { policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } };
    case "cookie":
      return {
        policySpecifier: {
          case: "cookie",
          value: {
            name: by.name,
            ...(by.path !== undefined && { path: by.path }),
            ...(by.ttl !== undefined && { ttl: durationFromMs(by.ttl) }),
            attributes: by.attributes.map(([name, value]) => ({ name, value })),
          },
        },
      };
  }
}
