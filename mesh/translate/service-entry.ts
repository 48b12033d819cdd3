import type { InlineEndpoint } from "../../api/generated/serviceentries.ts";
import type { ServiceEntry } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import { isHttp, protocolOf, type Service } from "../model/service.ts";
import { readExportTo } from "./export-to.ts";
import { reportOn } from "./problem.ts";
import { isReachable } from "./workload-entry.ts";

export interface TranslatedEntry {
  /** One for each host. */
  readonly services: readonly Service[];
  readonly endpoints: readonly InlineEndpoint[];
  readonly problems: readonly Problem[];
}

const resolutions: ReadonlyMap<string, NonNullable<Service["resolution"]>> = new Map([
  ["NONE", "none"],
  ["STATIC", "static"],
  ["DNS", "dns"],
  ["DNS_ROUND_ROBIN", "dns-round-robin"],
  ["DYNAMIC_DNS", "dynamic-dns"],
]);

/**
 * A ServiceEntry by itself; hosts and endpoints that cannot be carried out are left out.
 *
 * @see networking.istio.io ServiceEntry
 */
export function translateServiceEntry(object: ServiceEntry): TranslatedEntry {
  const problems: Problem[] = [];
  const report = reportOn(refOf(object), problems).at("spec");
  const { namespace = "default", creationTimestamp = "" } = object.metadata;
  const { spec } = object;
  const written = spec.resolution ?? "NONE";
  const resolution = resolutions.get(written);
  if (resolution === undefined) {
    report.problem(
      "resolution",
      `\`${written}\` is not carried out yet: it is none of ${[...resolutions.keys()].join(", ")}`,
    );
    return { services: [], endpoints: [], problems };
  }
  const selector = spec.workloadSelector?.labels;
  const inline = spec.endpoints ?? [];
  if (inline.length > 0 && selector !== undefined)
    report.problem(
      "workloadSelector",
      "stands beside endpoints, of which only one may be: the endpoints count",
    );
  if (resolution === "dynamic-dns" && (inline.length > 0 || selector !== undefined))
    report.problem(
      inline.length > 0 ? "endpoints" : "workloadSelector",
      "has no meaning with DYNAMIC_DNS: each request's own host is resolved",
    );
  if (resolution === "static" && inline.length === 0 && selector === undefined)
    report.problem(
      "endpoints",
      "STATIC needs endpoints or a workloadSelector: requests are answered with 503",
    );
  const hosts = spec.hosts.filter((host, index) => {
    const isResolved = resolution === "dns" || resolution === "dns-round-robin";
    const isUsable = !host.startsWith("*") || !isResolved || inline.length > 0;
    if (!isUsable)
      report
        .at("hosts")
        .problem(
          String(index),
          `\`${host}\` has no address of its own that DNS knows: name endpoints, or use resolution NONE`,
        );
    return isUsable;
  });
  const endpoints = inline.filter(({ address = "" }, index) => {
    const at = report.at("endpoints", index);
    const isUsable = address !== "" && isReachable(address, resolution);
    if (!isUsable)
      at.problem(
        "address",
        `\`${address}\` is no ${resolution === "static" ? "IP address or unix:///PATH, of which STATIC needs one" : "address or host name"}: it is left out`,
      );
    return isUsable;
  });
  const ports = (spec.ports ?? [])
    .map(({ number, name, protocol, targetPort }) => ({
      number,
      name,
      protocol: protocolOf({
        number,
        name,
        appProtocol: protocol ?? "tcp",
        transport: protocol?.toUpperCase() === "UDP" ? "UDP" : undefined,
      }),
      targetPort: targetPort ?? number,
    }))
    .filter(({ name, protocol }, index) => {
      const isUsable = resolution !== "dynamic-dns" || isHttp(protocol);
      if (!isUsable)
        report
          .at("ports", index)
          .problem(
            "protocol",
            `port \`${name}\` is not HTTP, which says its host with DYNAMIC_DNS: it is left out`,
          );
      return isUsable;
    });
  const services = hosts.map(
    (host): Service => ({
      host: host.toLowerCase(),
      name: host.toLowerCase(),
      namespace,
      addresses: spec.addresses ?? [],
      ports,
      selector: {},
      exportTo: readExportTo(spec.exportTo, namespace),
      createdAt: creationTimestamp,
      resolution,
      ...(spec.location === "MESH_INTERNAL" ? {} : { outside: true }),
      ...(selector !== undefined && inline.length === 0 && { workloads: selector }),
      ...(spec.subjectAltNames && { subjectAltNames: spec.subjectAltNames }),
    }),
  );
  return { services, endpoints, problems };
}
