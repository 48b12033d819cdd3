import type { Service as KubeService } from "../../api/core.ts";
import { serviceHost } from "../model/names.ts";
import { protocolOf, type Service, type ServicePort } from "../model/service.ts";
import { readExportTo } from "./export-to.ts";

/** Namespaces that see a Service, separated by commas. */
const exportToAnnotation = "networking.istio.io/exportTo";

/**
 * A Service as the mesh routes to it; undefined for one that only gives another name (ExternalName).
 *
 * @see v1.Service spec.clusterIPs, spec.ports[].appProtocol
 */
export function translateService({ metadata, spec }: KubeService, domain: string): Service | undefined {
  if (spec === undefined || spec.type === "ExternalName") return undefined;
  const namespace = metadata.namespace ?? "default";
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  return {
    host: serviceHost(metadata.name, namespace, domain),
    name: metadata.name,
    namespace,
    addresses: addresses.filter((address) => address !== "" && address !== "None"),
    ports: (spec.ports ?? []).map(translatePort),
    selector: spec.selector ?? {},
    exportTo: readExportTo(
      metadata.annotations?.[exportToAnnotation]?.split(",").map((name) => name.trim()),
      namespace,
    ),
    createdAt: metadata.creationTimestamp ?? "",
  };
}

function translatePort(port: NonNullable<NonNullable<KubeService["spec"]>["ports"]>[number]): ServicePort {
  const name = port.name ?? "";
  // client-node spells int-or-string as one type that JSON never has.
  const target: unknown = port.targetPort;
  return {
    number: port.port,
    name,
    protocol: protocolOf({
      number: port.port,
      name,
      appProtocol: port.appProtocol,
      transport: port.protocol,
    }),
    targetPort: typeof target === "number" || typeof target === "string" ? target : port.port,
  };
}
