import type { HttpRouteDestination, VirtualServiceSpec } from "../../api/generated/virtualservices.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import type { Percent } from "../../lib/units.ts";

/** One rule of a route that has both destinations, by JSON Pointer. */
export interface WeightedRule {
  readonly path: string;
  readonly primary: Place;
  readonly canary: Place;
  /** Where a destination says its name. */
  readonly nameAt: "destination/host" | "name";
  /** What the rule's other destinations take. */
  readonly others: Percent;
}

interface Place {
  readonly index: number;
  readonly host: string;
  /** undefined where none is written. */
  readonly weight: number | undefined;
}

/** The rules of a VirtualService that split traffic between the two hosts. */
export function weightedRules(
  spec: VirtualServiceSpec,
  namespace: string,
  primaryHost: string,
  canaryHost: string,
): readonly WeightedRule[] {
  const lists = [
    ...(spec.http ?? []).map((rule, index) => ({
      path: `/spec/http/${index}/route`,
      route: rule.route ?? [],
    })),
    ...(spec.tcp ?? []).map((rule, index) => ({ path: `/spec/tcp/${index}/route`, route: rule.route ?? [] })),
    ...(spec.tls ?? []).map((rule, index) => ({ path: `/spec/tls/${index}/route`, route: rule.route ?? [] })),
  ];
  return lists.flatMap(({ path, route }): WeightedRule[] => {
    const primary = find(route, namespace, primaryHost);
    const canary = find(route, namespace, canaryHost);
    if (primary === undefined || canary === undefined) return [];
    const others = route.reduce(
      (sum, { weight = 0 }, index) =>
        index === primary.index || index === canary.index ? sum : sum + weight,
      0,
    );
    return [{ path, nameAt: "destination/host", primary, canary, others: Math.min(others, 100) }];
  });
}

/** `shop`, `shop.demo`, `shop.demo.svc` and `shop.demo.svc.cluster.local` are one host. */
function find(route: readonly HttpRouteDestination[], namespace: string, host: string): Place | undefined {
  const full = `${host}.${namespace}`;
  const index = route.findIndex(
    ({ destination }) =>
      destination.host === host || destination.host === full || destination.host.startsWith(`${full}.svc`),
  );
  const found = route[index];
  return found && { index, host: found.destination.host, weight: found.weight };
}

/** A rule of the Gateway API that splits between two Services; there an absent weight is 1. */
export function weightedBackends(
  path: string,
  backends: readonly { readonly name: string; readonly weight?: number }[],
  primaryService: string,
  canaryService: string,
): WeightedRule | undefined {
  const at = (service: string): Place | undefined => {
    const index = backends.findIndex(({ name }) => name === service);
    const found = backends[index];
    return found && { index, host: found.name, weight: found.weight ?? 1 };
  };
  const [primary, canary] = [at(primaryService), at(canaryService)];
  if (primary === undefined || canary === undefined) return undefined;
  const others = backends
    .filter(({ name }) => name !== primaryService && name !== canaryService)
    .reduce((sum, { weight = 1 }) => sum + weight, 0);
  return { path, nameAt: "name", primary, canary, others: Math.min(others, 100) };
}

/** Whether both destinations and the rule's others take all. */
export function sumsUp({ primary, canary, others }: WeightedRule): boolean {
  return primary.weight !== undefined && primary.weight + (canary.weight ?? 0) + others === 100;
}

/** Whether the canary has this weight, as far as the rule's other destinations leave room for it. */
export function carries({ canary, others }: WeightedRule, weight: Percent): boolean {
  return (canary.weight ?? 0) === Math.min(weight, 100 - others);
}

/** Sets both weights of every rule. Each rule's destinations are tested, so that a weight never lands on another's. */
export function weightOperations(
  rules: readonly WeightedRule[],
  canaryWeights: readonly Percent[],
): readonly JsonPatchOperation[] {
  return rules.flatMap(({ path, nameAt, primary, canary, others }, index): JsonPatchOperation[] => {
    const weight = Math.min(canaryWeights[index] ?? 0, 100 - others);
    return [
      { op: "test", path: `${path}/${primary.index}/${nameAt}`, value: primary.host },
      { op: "test", path: `${path}/${canary.index}/${nameAt}`, value: canary.host },
      { op: "add", path: `${path}/${primary.index}/weight`, value: 100 - others - weight },
      { op: "add", path: `${path}/${canary.index}/weight`, value: weight },
    ];
  });
}
