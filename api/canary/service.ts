import { parseDuration } from "../../lib/units.ts";
import type { CanaryService, TargetRef } from "../generated/canaries.ts";
import { below } from "../schema/pointer.ts";
import { show } from "../schema/validate.ts";
import { type Report, readWhole } from "./fields.ts";
import type { CanaryNames, ReadService } from "./types.ts";

/** The longest name that a Service, and so a DNS label, may have. */
const longestName = 63;

/** `spec.service` with Flagger's defaults: named as the target, port `http`, to the same port of the container. */
export function readService(
  service: CanaryService,
  target: TargetRef,
  field: string,
  report: Report,
): ReadService {
  const port = readWhole(
    service.port,
    below(field, "port"),
    { least: 1, most: 65_535, fallback: 80 },
    report,
  );
  if (typeof service.targetPort === "number")
    readWhole(
      service.targetPort,
      below(field, "targetPort"),
      { least: 1, most: 65_535, fallback: port },
      report,
    );
  for (const name of ["timeout", "backendTimeout"] as const)
    checkTimeout(service[name], below(field, name), report);
  checkTimeout(service.retries?.perTryTimeout, below(below(field, "retries"), "perTryTimeout"), report);
  if (service.delegation) {
    for (const name of ["hosts", "gateways"] as const) {
      if (service[name]?.length)
        report(below(field, name), "must be empty: with `delegation` the root VirtualService names them");
    }
  }
  return {
    ...service,
    name: service.name || target.name,
    port,
    portName: service.portName || "http",
    targetPort: service.targetPort ?? port,
    portDiscovery: service.portDiscovery ?? false,
    headless: service.headless ?? false,
    delegation: service.delegation ?? false,
    hosts: service.hosts ?? [],
    gateways: service.gateways ?? [],
  };
}

function checkTimeout(value: string | undefined, field: string, report: Report): void {
  if (value !== undefined && value !== "" && parseDuration(value) === undefined)
    report(field, `is ${show(value)}, must be a duration such as \`15s\``);
}

/** Names of everything that is generated, as Flagger makes them. */
export function nameAll(target: TargetRef, service: ReadService, report: Report): CanaryNames {
  const names: CanaryNames = {
    // A Service's primary is the very Service that routes lead to.
    primaryWorkload: `${target.kind === "Service" ? service.name : target.name}-primary`,
    canaryWorkload: target.name,
    apexService: service.name,
    primaryService: `${service.name}-primary`,
    canaryService: `${service.name}-canary`,
  };
  const field = service.name === target.name ? "/spec/targetRef/name" : "/spec/service/name";
  if (names.primaryService.length > longestName)
    report(
      field,
      `is \`${service.name}\`, too long: the Service \`${names.primaryService}\` may have ${longestName} characters`,
    );
  return names;
}
