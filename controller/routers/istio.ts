import { type RollbackMark, rollbackAnnotation, runAnnotation } from "../../api/annotations.ts";
import type { ReadCanary } from "../../api/canary/types.ts";
import { DestinationRuleKind, type VirtualService, VirtualServiceKind } from "../../api/kinds.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import type { RouteObservation } from "../decide/observation.ts";
import { canonicalJson } from "../revision.ts";
import { annotationOperations, type Write } from "../write.ts";
import { buildDestinationRule, buildSpec, buildVirtualService } from "./istio-objects.ts";
import type { Router } from "./router.ts";
import { fluxAnnotations, isOwned } from "./services.ts";
import { readWeights, weightedRules, weightOperations } from "./weights.ts";

/** Where a route that the user had before the Canary is kept, as Flagger keeps it. */
const originalAnnotation = "flagger.kubernetes.io/original-configuration";

/** Istio's objects: one VirtualService with the weights, a DestinationRule for each side. */
export const istioRouter: Router = {
  kinds: [VirtualServiceKind, DestinationRuleKind],

  route: ({ namespace, names }) => ({ kind: "VirtualService", namespace, name: names.apexService }),

  observe(canary, snapshot): RouteObservation {
    const route = find(canary, snapshot);
    if (route === undefined) return { kind: "missing" };
    const rules = rulesOf(canary, route);
    const { primaryService, canaryService } = canary.names;
    if (rules.length === 0) {
      return {
        kind: "unusable",
        message: `virtualservice \`${route.metadata.name}\` has no rule with both \`${primaryService}\` and \`${canaryService}\`: add them to one route`,
      };
    }
    const run = parse(route.metadata.annotations?.[runAnnotation], "run");
    const rollback = parseMark(route.metadata.annotations?.[rollbackAnnotation]);
    return {
      kind: "present",
      ...readWeights(rules),
      ...(run !== undefined && { run }),
      ...(rollback && { rollback }),
    };
  },

  objects(canary, owner, snapshot) {
    const { primaryService, canaryService } = canary.names;
    return [
      ...[canaryService, primaryService].flatMap((host) =>
        destinationRuleWrites(canary, host, owner, snapshot),
      ),
      ...virtualServiceWrites(canary, owner, snapshot),
    ];
  },

  setWeight(canary, canaryWeight, run, snapshot) {
    const route = find(canary, snapshot);
    if (route === undefined) return undefined;
    const { annotations, resourceVersion } = route.metadata;
    const marks =
      run === undefined
        ? {}
        : {
            [runAnnotation]: JSON.stringify(run),
            // The mark of an earlier run goes in the write that sets this run's first weight.
            ...(canaryWeight > 0 && { [rollbackAnnotation]: undefined }),
          };
    return {
      kind: "patch",
      of: VirtualServiceKind,
      namespace: canary.namespace,
      name: route.metadata.name,
      operations: [
        { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
        ...weightOperations(rulesOf(canary, route), canaryWeight),
        ...annotationOperations(annotations, marks),
      ],
    };
  },

  rollBack(canary, mark, snapshot) {
    const route = find(canary, snapshot);
    if (route === undefined) return undefined;
    return {
      kind: "patch",
      of: VirtualServiceKind,
      namespace: canary.namespace,
      name: route.metadata.name,
      operations: [
        ...weightOperations(rulesOf(canary, route), 0),
        ...annotationOperations(route.metadata.annotations, { [rollbackAnnotation]: JSON.stringify(mark) }),
      ],
    };
  },

  clearRunMark(canary, snapshot) {
    const route = find(canary, snapshot);
    if (route?.metadata.annotations?.[runAnnotation] === undefined) return undefined;
    return {
      kind: "patch",
      of: VirtualServiceKind,
      namespace: canary.namespace,
      name: route.metadata.name,
      operations: annotationOperations(route.metadata.annotations, { [runAnnotation]: undefined }),
    };
  },

  revert(canary, owner, snapshot) {
    const route = find(canary, snapshot);
    const original = route?.metadata.annotations?.[originalAnnotation];
    if (route === undefined || original === undefined || isOwned(route, owner)) return [];
    const {
      [originalAnnotation]: _original,
      [runAnnotation]: _run,
      [rollbackAnnotation]: _rollback,
      ...annotations
    } = route.metadata.annotations ?? {};
    return [
      {
        kind: "replace",
        of: VirtualServiceKind,
        object: {
          ...route,
          metadata: { ...route.metadata, annotations },
          spec: JSON.parse(original),
        } as VirtualService,
      },
    ];
  },
};

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
  if (!isOwned(existing, owner) || canonicalJson(existing.spec) === canonicalJson(desired.spec)) return [];
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
  snapshot: Snapshot,
): readonly Write[] {
  const existing = find(canary, snapshot);
  if (existing === undefined) {
    return [{ kind: "create", of: VirtualServiceKind, object: buildVirtualService(canary, 0, owner) }];
  }
  const rules = rulesOf(canary, existing);
  const { canaryWeight } = readWeights(rules);
  const owned = isOwned(existing, owner);
  const taken = existing.metadata.annotations?.[originalAnnotation] !== undefined;
  if (!owned && !taken) {
    if (rules.length > 0) return [];
    const annotations = {
      ...existing.metadata.annotations,
      ...fluxAnnotations,
      [originalAnnotation]: JSON.stringify(existing.spec),
    };
    const object = {
      ...existing,
      metadata: { ...existing.metadata, annotations },
      spec: buildSpec(canary, 0),
    };
    return [{ kind: "replace", of: VirtualServiceKind, object }];
  }
  const desired = buildVirtualService(canary, canaryWeight, owner);
  const annotations = { ...existing.metadata.annotations, ...desired.metadata.annotations };
  const labels = { ...existing.metadata.labels, ...desired.metadata.labels };
  const wanted: VirtualService = {
    ...existing,
    metadata: { ...existing.metadata, annotations, ...(Object.keys(labels).length > 0 && { labels }) },
    spec: desired.spec,
  };
  if (comparable(wanted) === comparable(existing)) return [];
  return [{ kind: "replace", of: VirtualServiceKind, object: wanted }];
}

/** Everything but weights, which have writes of their own. */
function comparable({ metadata, spec }: VirtualService): string {
  const bare = (rules: NonNullable<VirtualService["spec"]["http"]>) =>
    rules.map(({ mirror: _mirror, mirrorPercentage: _percentage, ...rule }) => ({
      ...rule,
      route: rule.route?.map(({ weight: _weight, ...destination }) => destination),
    }));
  return canonicalJson({
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    spec: { ...spec, ...(spec.http && { http: bare(spec.http) }), ...(spec.tcp && { tcp: bare(spec.tcp) }) },
  });
}

function parse(text: string | undefined, field: "run"): string | undefined {
  const value = parseObject(text)?.[field];
  return typeof value === "string" ? value : undefined;
}

/** A rollback mark as it stands in an annotation; undefined where it is none. */
export function parseMark(text: string | undefined): RollbackMark | undefined {
  const { id, run, revision, reason, at } = parseObject(text) ?? {};
  const isMark = [id, run, revision, reason, at].every((field) => typeof field === "string");
  return isMark ? ({ id, run, revision, reason, at } as RollbackMark) : undefined;
}

function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
