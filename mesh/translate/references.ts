import type { Problem } from "../../api/resource.ts";
import { type Model, policyFor } from "../model/model.ts";
import type { RouteTable } from "../model/route.ts";
import { reportOn } from "./problem.ts";

/** Destinations of a route table that do not exist: their requests are answered with 503 until they do. */
export function findMissing(model: Model, table: RouteTable): Problem[] {
  const problems: Problem[] = [];
  const report = reportOn(table.source, problems);
  for (const { position: index, action } of table.http) {
    if (action.kind !== "forward") continue;
    const at = report.at("spec", "http", index);
    for (const [position, { host, subset, port }] of action.destinations.entries()) {
      const service = model.services.get(host);
      const where = at.at("route", position, "destination");
      if (service === undefined) where.problem("host", `no Service \`${host}\` exists`);
      else if (port !== undefined && !service.ports.some(({ number }) => number === port)) {
        where.problem("port", `\`${host}\` has no port ${port}`);
      } else if (subset !== undefined) {
        const policy = policyFor(model, table.namespace, host, service.namespace);
        if (!policy?.subsets.some(({ name }) => name === subset)) {
          where.problem("subset", `no DestinationRule for \`${host}\` has a subset \`${subset}\``);
        }
      }
    }
  }
  return problems;
}
