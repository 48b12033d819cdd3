import type { Problem } from "../../api/resource.ts";
import { mesh } from "../model/caller.ts";
import { selectsProxy } from "../model/gateway.ts";
import { planGateway } from "../model/gateway-plan.ts";
import type { Model } from "../model/model.ts";
import { reportOn } from "./problem.ts";

/**
 * What of Istio's Gateways cannot be carried out on the pods that they select, and which routes are bound to a Gateway
 * that does not exist.
 */
export function findGatewayProblems(model: Model): Problem[] {
  const problems: Problem[] = [];
  const gateways = model.gateways ?? [];
  const known = new Set([mesh, ...gateways.map(({ id }) => id)]);
  for (const { source, gateways: bound, ranked } of model.routes) {
    if (ranked) continue;
    const report = reportOn(source, problems).at("spec", "gateways");
    for (const [index, id] of bound.entries())
      if (!known.has(id)) report.problem(String(index), `no Gateway \`${id}\` exists`);
  }
  if (gateways.length === 0) return problems;
  const planned = new Set<string>();
  for (const pod of model.workloads.values()) {
    if (!gateways.some((gateway) => gateway.className === undefined && selectsProxy(gateway, pod))) continue;
    // Pods with the same labels have the same plan.
    const { "pod-template-hash": _, ...labels } = pod.labels;
    const key = JSON.stringify([pod.namespace, labels]);
    if (planned.has(key)) continue;
    planned.add(key);
    problems.push(...planGateway(model, pod).problems);
  }
  return problems;
}
