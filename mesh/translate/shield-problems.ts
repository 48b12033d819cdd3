import type { Problem } from "../../api/resource.ts";
import type { RouteTable } from "../model/route.ts";
import { shieldConflicts } from "../model/shield.ts";
import { reportOn } from "./problem.ts";

/** Fields of an HTTPRoute's rule for those of a VirtualService's route. */
const ruleFields: ReadonlyMap<string | number, readonly string[]> = new Map([
  ["route", ["backendRefs"]],
  ["headers", ["filters"]],
  ["timeout", ["timeouts", "request"]],
  ["mirror", ["filters"]],
]);

/** What keeps routes from the shield that their run asks for: they are served without it. */
export function findShieldProblems(routes: readonly RouteTable[]): readonly Problem[] {
  const problems: Problem[] = [];
  for (const { live, http, source, ranked } of routes) {
    if (live?.shield === undefined) continue;
    for (const { action, position, delegate } of http) {
      if (action.kind !== "forward") continue;
      const at = reportOn(delegate ?? source, problems).at("spec", ranked ? "rules" : "http", position);
      for (const { path, message } of shieldConflicts(action, live)) {
        const fields = ranked ? path.flatMap((part) => ruleFields.get(part) ?? part) : path;
        at.at(...fields).problem("", `${message}, so its requests go without the run's shield`);
      }
    }
  }
  return problems;
}
