import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { VirtualHostSchema } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import type { MeshSettings } from "../model/model.ts";
import { passthroughCluster } from "../model/names.ts";
import { encodeBytes, type Resource, type Sourced } from "./resource.ts";
import type { BuiltVirtualHost } from "./virtual-host.ts";

/**
 * Puts encoded virtual hosts together to one route table, so that a change of one host encodes that host alone.
 *
 * @param ignorePort whether hosts match whatever port the request names
 * @see envoy.config.route.v3.RouteConfiguration (virtual_hosts = 2)
 */
export function assembleRouteTable(
  name: string,
  hosts: readonly BuiltVirtualHost[],
  settings: Pick<MeshSettings, "outboundTrafficPolicy">,
  ignorePort: boolean,
): Resource {
  const frame = create(RouteConfigurationSchema, {
    name,
    validateClusters: false,
    ignorePortInHostMatching: ignorePort,
    maxDirectResponseBodySizeBytes: 1024 * 1024,
  });
  const writer = new BinaryWriter().raw(toBinary(RouteConfigurationSchema, frame));
  for (const { bytes } of hosts) writer.tag(2, WireType.LengthDelimited).bytes(bytes);
  writer.tag(2, WireType.LengthDelimited).bytes(catchAll(settings));
  const sources = new Set<Sourced>();
  for (const { table } of hosts) if (table !== undefined) sources.add(table);
  return encodeBytes("route", name, writer.finish(), sources);
}

const timeout = { seconds: 0n, nanos: 0 };

/** For hosts that nobody declared. */
function catchAll({ outboundTrafficPolicy }: Pick<MeshSettings, "outboundTrafficPolicy">): Uint8Array {
  const message =
    outboundTrafficPolicy === "REGISTRY_ONLY"
      ? create(VirtualHostSchema, {
          name: "block_all",
          domains: ["*"],
          routes: [
            {
              name: "block_all",
              match: { pathSpecifier: { case: "prefix", value: "/" } },
              action: { case: "directResponse", value: { status: 502 } },
            },
          ],
        })
      : create(VirtualHostSchema, {
          name: "allow_any",
          domains: ["*"],
          routes: [
            {
              name: "allow_any",
              match: { pathSpecifier: { case: "connectMatcher", value: {} } },
              action: {
                case: "route",
                value: {
                  clusterSpecifier: { case: "cluster", value: passthroughCluster },
                  timeout,
                  upgradeConfigs: [{ upgradeType: "CONNECT", connectConfig: {} }],
                },
              },
            },
            {
              name: "allow_any",
              match: { pathSpecifier: { case: "prefix", value: "/" } },
              action: {
                case: "route",
                value: { clusterSpecifier: { case: "cluster", value: passthroughCluster }, timeout },
              },
            },
          ],
          includeRequestAttemptCount: true,
        });
  return toBinary(VirtualHostSchema, message);
}
