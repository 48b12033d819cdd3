import type { Problem } from "../../api/resource.ts";
import { anyCaller } from "../model/caller.ts";
import { type Model, policyFor } from "../model/model.ts";
import type { Destination, RouteTable } from "../model/route.ts";
import { type Report, reportOn } from "./problem.ts";

/**
 * Destinations of a route table that do not exist: their requests are answered with 503 until they do, and their
 * connections are closed.
 */
export function findMissing(model: Model, table: RouteTable): Problem[] {
  const problems: Problem[] = [];
  const check = (destinations: readonly Target[], namespace: string, report: Report) => {
    for (const [index, target] of destinations.entries())
      checkTarget(model, namespace, target, report.at(index, "destination"));
  };
  for (const { position, action, delegate } of table.http) {
    if (action.kind !== "forward") continue;
    const source = delegate ?? table.source;
    const report = reportOn(source, problems).at("spec", "http", position);
    const namespace = source.namespace ?? table.namespace;
    check(action.destinations, namespace, report.at("route"));
    for (const { destination } of action.mirrors)
      checkTarget(model, namespace, destination, report.at("mirror"));
  }
  for (const kind of ["tls", "tcp"] as const) {
    for (const { position, destinations } of table[kind])
      check(
        destinations,
        table.namespace,
        reportOn(table.source, problems).at("spec", kind, position, "route"),
      );
  }
  return problems;
}

type Target = Pick<Destination, "host" | "subset" | "port">;

function checkTarget(model: Model, namespace: string, { host, subset, port }: Target, report: Report): void {
  const service = model.services.get(host);
  if (service === undefined) {
    report.problem("host", `no Service \`${host}\` exists`);
    return;
  }
  if (port !== undefined && !service.ports.some(({ number }) => number === port))
    report.problem("port", `\`${host}\` has no port ${port}`);
  else if (subset !== undefined) {
    const policy = policyFor(model, anyCaller(namespace), host, service.namespace);
    if (!policy?.subsets.some(({ name }) => name === subset))
      report.problem("subset", `no DestinationRule for \`${host}\` has a subset \`${subset}\``);
  }
}
