import { isIP } from "node:net";
import type { WorkloadEntry } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { Service } from "../model/service.ts";
import { selects } from "../model/workload.ts";
import { reportOn } from "./problem.ts";
import type { TranslatedEntry } from "./service-entry.ts";

/** What of WorkloadEntries cannot be carried out by the ServiceEntries that select them. @see networking.istio.io WorkloadEntry */
export function findWorkloadEntryProblems(
  objects: readonly WorkloadEntry[],
  entries: readonly TranslatedEntry[],
): Problem[] {
  const problems: Problem[] = [];
  const services = entries.flatMap((entry) => entry.services);
  for (const object of objects) {
    const report = reportOn(refOf(object), problems).at("spec");
    const { address } = object.spec;
    if (address === undefined) {
      report.problem(
        "address",
        "there is none, where an IP address or a host name is needed: it is left out",
      );
      continue;
    }
    const refusing = services.filter(
      (service) => isSelectedBy(object, service) && !isReachable(address, service.resolution),
    );
    for (const { host } of refusing)
      report.problem(
        "address",
        address.startsWith("unix:")
          ? `\`${address}\` is no unix:///PATH that \`${host}\` can use, which needs resolution STATIC: it is left out there`
          : `\`${address}\` is no IP address, which resolution STATIC of \`${host}\` needs: it is left out there`,
      );
  }
  return problems;
}

/** Path of `unix:///PATH`, `@NAME` of the abstract `unix://@NAME`; undefined for anything else. */
function socketPath(address: string): string | undefined {
  return /^unix:\/\/([/@].+)$/.exec(address)?.[1];
}

/** Labels by which ServiceEntries select it: those of its spec count before its own. */
export function labelsOf({ metadata, spec }: WorkloadEntry): Readonly<Record<string, string>> {
  return { ...metadata.labels, ...spec.labels };
}

/** Whether the selector of a ServiceEntry's host means it. */
export function isSelectedBy(
  object: WorkloadEntry,
  { namespace, workloads }: Pick<Service, "namespace" | "workloads">,
): boolean {
  const own = object.metadata.namespace ?? "default";
  return workloads !== undefined && own === namespace && selects(workloads, labelsOf(object));
}

/** Whether Envoy can connect to an address by this way of resolving it: only DNS knows host names, and no sockets. */
export function isReachable(address: string | undefined, resolution: Service["resolution"]): boolean {
  if (address === undefined) return false;
  if (address.startsWith("unix:")) return resolution === "static" && socketPath(address) !== undefined;
  return resolution !== "static" || isIP(address) !== 0;
}
