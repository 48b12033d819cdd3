import type { ReadCanary } from "../../api/canary/types.ts";
import type { HttpRoute, VirtualServiceSpec } from "../../api/generated/virtualservices.ts";
import { DestinationRuleKind, type VirtualService, VirtualServiceKind } from "../../api/kinds.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { JsonPatchOperation, Snapshot } from "../../kube/contract.ts";
import type { Percent } from "../../lib/units.ts";
import type { RouteObservation } from "../decide/observation.ts";
import type { Traffic } from "../decide/traffic.ts";
import { sameJson } from "../revision.ts";
import type { Write } from "../write.ts";
import { buildDestinationRule, buildSpec, buildVirtualService } from "./istio-objects.ts";
import { keepLast } from "./keep-last.ts";
import { clearRunOperations, readMarks, rollbackMarkOperations, runMarkOperations } from "./marks.ts";
import { beyondWeights, givenBack, isOurs, takeOverAnnotations, takesPart } from "./ownership.ts";
import type { Router } from "./router.ts";
import { isOwned } from "./services.ts";
import { carries, sumsUp, weightedRules, weightOperations } from "./weights.ts";

/** Istio's objects: one VirtualService with the weights, a DestinationRule for each side. */
export const istioRouter: Router = {
  kinds: [VirtualServiceKind, DestinationRuleKind],

  route: ({ namespace, names }) => ({ kind: "VirtualService", namespace, name: names.apexService }),

  observe(canary, wanted, snapshot): RouteObservation {
    const route = find(canary, snapshot);
    if (route === undefined) return { kind: "missing" };
    const rules = rulesOf(canary, route);
    const { primaryService, canaryService } = canary.names;
    const message = isOurs(canary, route) ? undefined : beyondWeights(canary);
    if (message !== undefined)
      return { kind: "unusable", message: `virtualservice \`${route.metadata.name}\` ${message}` };
    if (rules.length === 0) {
      return {
        kind: "unusable",
        message: `virtualservice \`${route.metadata.name}\` has no rule with both \`${primaryService}\` and \`${canaryService}\`: add them to one route`,
      };
    }
    const weights = isOurs(canary, route)
      ? wantedWeights(canary, wanted)
      : rules.map(({ path }) => (takesPart(canary, matchesAt(route, path)) ? wanted.canaryWeight : 0));
    const mirrored = isMirrored(canary, route);
    return {
      kind: "present",
      canaryWeight: Math.max(0, ...rules.map(({ canary: { weight = 0 } }) => weight)),
      consistent: rules.every(sumsUp),
      mirrored,
      asWanted:
        mirrored === wanted.mirror > 0 &&
        rules.length === weights.length &&
        rules.every((rule, index) => sumsUp(rule) && carries(rule, weights[index] ?? 0)),
      ...readMarks(route),
    };
  },

  objects(canary, owner, wanted, snapshot) {
    const { primaryService, canaryService } = canary.names;
    return [
      ...[canaryService, primaryService].flatMap((host) =>
        destinationRuleWrites(canary, host, owner, snapshot),
      ),
      ...virtualServiceWrites(canary, owner, wanted, snapshot),
    ];
  },

  setTraffic(canary, wanted, run, snapshot) {
    const route = find(canary, snapshot);
    if (route === undefined) return undefined;
    const rules = rulesOf(canary, route);
    const desired = isOurs(canary, route) ? buildSpec(canary, wanted) : undefined;
    return patch(canary, route, [
      { op: "test", path: "/metadata/resourceVersion", value: route.metadata.resourceVersion },
      ...(desired?.http !== undefined && !sameJson(shape(desired, true), shape(route.spec, true))
        ? [{ op: "add", path: "/spec/http", value: desired.http } as const]
        : weightOperations(
            rules,
            desired
              ? wantedWeights(canary, wanted)
              : rules.map(({ path }) =>
                  takesPart(canary, matchesAt(route, path)) ? wanted.canaryWeight : 0,
                ),
          )),
      ...runMarkOperations(route, run, wanted.canaryWeight),
    ]);
  },

  rollBack(canary, mark, snapshot) {
    const route = find(canary, snapshot);
    if (route === undefined) return undefined;
    const rules = rulesOf(canary, route);
    return patch(canary, route, [
      ...weightOperations(
        rules,
        rules.map(() => 0),
      ),
      ...(isMirrored(canary, route) ? mirrorRemovals(canary, route) : []),
      ...rollbackMarkOperations(route, mark),
    ]);
  },

  clearRunMark(canary, snapshot) {
    const route = find(canary, snapshot);
    const operations = route && clearRunOperations(route);
    return route && operations && operations.length > 0 ? patch(canary, route, operations) : undefined;
  },

  revert(canary, owner, snapshot) {
    const route = find(canary, snapshot);
    const object = route && !isOwned(route, owner) ? givenBack(route) : undefined;
    return object === undefined ? [] : [{ kind: "replace", of: VirtualServiceKind, object }];
  },
};

function patch(
  { namespace }: ReadCanary,
  { metadata }: VirtualService,
  operations: readonly JsonPatchOperation[],
): Write {
  return { kind: "patch", of: VirtualServiceKind, namespace, name: metadata.name, operations };
}

/** How many matches the rule at `path` has. */
function matchesAt({ spec }: VirtualService, path: string): number {
  const index = /^\/spec\/http\/(\d+)\//.exec(path)?.[1];
  return index === undefined ? 0 : (spec.http?.[Number(index)]?.match?.length ?? 0);
}

/** The canary's weight in each rule of a route of ours. */
const wantedWeights = keepLast((canary: ReadCanary, wanted: Traffic): readonly Percent[] => {
  const { primaryService, canaryService } = canary.names;
  const rules = weightedRules(buildSpec(canary, wanted), canary.namespace, primaryService, canaryService);
  return rules.map((rule) => rule.canary.weight ?? 0);
});

function isMirrored(canary: ReadCanary, { spec }: VirtualService): boolean {
  return (spec.http ?? []).some((rule) => mirrorsTo(canary, rule));
}

function mirrorsTo({ namespace, names }: ReadCanary, { mirror, mirrorPercentage }: HttpRoute): boolean {
  const { canaryService } = names;
  const toCanary = mirror?.host === canaryService || mirror?.host.startsWith(`${canaryService}.${namespace}`);
  return toCanary === true && mirrorPercentage?.value !== 0;
}

function mirrorRemovals(canary: ReadCanary, { spec }: VirtualService): readonly JsonPatchOperation[] {
  return (spec.http ?? []).flatMap((rule, index): JsonPatchOperation[] =>
    mirrorsTo(canary, rule)
      ? [
          { op: "remove", path: `/spec/http/${index}/mirror` },
          ...(rule.mirrorPercentage
            ? [{ op: "remove", path: `/spec/http/${index}/mirrorPercentage` } as const]
            : []),
        ]
      : [],
  );
}

function find({ namespace, names }: ReadCanary, snapshot: Snapshot): VirtualService | undefined {
  return snapshot.get(VirtualServiceKind, namespace, names.apexService);
}

function rulesOf({ namespace, names }: ReadCanary, { spec }: VirtualService) {
  return weightedRules(spec, namespace, names.primaryService, names.canaryService);
}

function destinationRuleWrites(
  canary: ReadCanary,
  host: string,
  owner: OwnerReference,
  snapshot: Snapshot,
): readonly Write[] {
  const desired = buildDestinationRule(canary, host, owner);
  const existing = snapshot.get(DestinationRuleKind, canary.namespace, host);
  if (existing === undefined) return [{ kind: "create", of: DestinationRuleKind, object: desired }];
  if (!isOwned(existing, owner) || sameJson(existing.spec, desired.spec)) return [];
  const object = { ...existing, spec: desired.spec };
  return [{ kind: "replace", of: DestinationRuleKind, object }];
}

/**
 * A route of the user's that has both destinations is left alone: its weights are all that is ours. One that has
 * not is taken over as Flagger does, and kept as it was for the day the Canary is deleted.
 */
function virtualServiceWrites(
  canary: ReadCanary,
  owner: OwnerReference,
  wanted: Traffic,
  snapshot: Snapshot,
): readonly Write[] {
  const existing = find(canary, snapshot);
  const desired = buildVirtualService(canary, wanted, owner);
  if (existing === undefined) return [{ kind: "create", of: VirtualServiceKind, object: desired }];
  const rules = rulesOf(canary, existing);
  if (!isOurs(canary, existing)) {
    if (rules.length > 0) return [];
    const annotations = takeOverAnnotations(existing);
    const object = {
      ...existing,
      metadata: { ...existing.metadata, annotations },
      spec: desired.spec,
    };
    return [{ kind: "replace", of: VirtualServiceKind, object }];
  }
  const annotations = { ...existing.metadata.annotations, ...desired.metadata.annotations };
  const labels = { ...existing.metadata.labels, ...desired.metadata.labels };
  const next: VirtualService = {
    ...existing,
    metadata: { ...existing.metadata, annotations, ...(Object.keys(labels).length > 0 && { labels }) },
    spec: desired.spec,
  };
  if (sameJson(comparable(next), comparable(existing))) return [];
  return [{ kind: "replace", of: VirtualServiceKind, object: next }];
}

/** Everything but weights, which have writes of their own. */
function comparable({ metadata, spec }: VirtualService) {
  return {
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    spec: shape(spec, false),
  };
}

/** A spec without its weights; `mirrors`: with what is copied. */
function shape(spec: VirtualServiceSpec, mirrors: boolean) {
  const bare = (rules: NonNullable<VirtualServiceSpec["http"]>) =>
    rules.map(({ mirror, mirrorPercentage, ...rule }) => ({
      ...rule,
      ...(mirrors && { mirror, mirrorPercentage }),
      route: rule.route?.map(({ weight: _weight, ...destination }) => destination),
    }));
  return {
    ...spec,
    ...(spec.http && { http: bare(spec.http) }),
    ...(spec.tcp && { tcp: bare(spec.tcp) }),
  };
}
