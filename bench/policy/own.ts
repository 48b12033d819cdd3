/** Our evaluator, with its indexes and, for comparison, as a scan of all rules. */
import { performance } from "node:perf_hooks";
import { compilePolicies } from "../../policy/compile/compile.ts";
import { defaultMesh } from "../../policy/compile/mesh.ts";
import { evaluator } from "../../policy/evaluate/evaluate.ts";
import { Facts } from "../../policy/evaluate/facts.ts";
import { test } from "../../policy/evaluate/predicate.ts";
import type { PolicyRequest } from "../../policy/evaluate/request.ts";
import { PolicyEngine } from "../../policy/live/engine.ts";
import type { Rule } from "../../policy/model.ts";
import { namespace, policyOf } from "./policies.ts";

export const workload = { namespace, labels: { app: "orders" } };

/** So many policies, compiled from their objects. */
export function compiled(count: number) {
  const authorization = Array.from({ length: count }, (_, index) => policyOf(index));
  return compilePolicies({ authorization, authentication: [] }, workload, { ...defaultMesh }).policy;
}

/** Milliseconds from policy objects to an evaluator that answers. */
export function compileMs(count: number): number {
  const authorization = Array.from({ length: count }, (_, index) => policyOf(index));
  const start = performance.now();
  // Settings of its own: what was compiled for others is not used again.
  const { policy } = compilePolicies({ authorization, authentication: [] }, workload, { ...defaultMesh });
  evaluator(policy);
  return performance.now() - start;
}

/** Milliseconds, median, to change one of so many policies and be ready to answer by it. */
export function changeMs(count: number): number[] {
  const engine = new PolicyEngine(workload, { ...defaultMesh });
  for (let index = 0; index < count; index += 1) engine.put(policyOf(index));
  return Array.from({ length: 200 }, (_, turn) => {
    const index = (turn * 7919) % count;
    const { metadata, spec, ...rest } = policyOf(index);
    const to = [{ operation: { paths: [`/changed/${turn}`] } }];
    const changed = { ...rest, metadata, spec: { ...spec, rules: [{ to }] } };
    const start = performance.now();
    engine.put(changed);
    return performance.now() - start;
  });
}

/** The same closures, each rule looked at: what an evaluator without an index does. */
export function linearScan(count: number): (request: PolicyRequest) => boolean {
  const { deny, allow } = compiled(count);
  const ready = (rules: readonly Rule[]) =>
    rules.map(({ source, operation }) => ({ source: test(source), operation: test(operation) }));
  const denies = ready(deny.rules);
  const allows = ready(allow.rules);
  const facts = new Facts();
  return (request) => {
    facts.read(request);
    for (const { source, operation } of denies) if (operation(facts) && source(facts)) return false;
    for (const { source, operation } of allows) if (operation(facts) && source(facts)) return true;
    return false;
  };
}
