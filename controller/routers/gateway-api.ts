import type { ReadCanary } from "../../api/canary/types.ts";
import { GRPCRouteKind, HTTPRouteKind, TCPRouteKind, TLSRouteKind } from "../../api/kinds.ts";
import type { Kind, KubeObject, OwnerReference } from "../../api/resource.ts";
import type { JsonPatchOperation, Snapshot } from "../../kube/contract.ts";
import type { Percent } from "../../lib/units.ts";
import type { RouteObservation } from "../decide/observation.ts";
import type { Traffic } from "../decide/traffic.ts";
import { sameJson } from "../revision.ts";
import type { Write } from "../write.ts";
import { fluxAnnotations } from "./flux.ts";
import { unknownToGateways } from "./gateway-api-match.ts";
import { buildHttpRouteSpec, type GatewayApiVersion } from "./gateway-api-objects.ts";
import { clearRunOperations, readMarks, rollbackMarkOperations, runMarkOperations } from "./marks.ts";
import { beyondWeights, givenBack, isOurs, takeOverAnnotations, takesPart } from "./ownership.ts";
import type { Router } from "./router.ts";
import { isOwned } from "./services.ts";
import { carries, sumsUp, type WeightedRule, weightedBackends, weightOperations } from "./weights.ts";

/** What routes of all four kinds have in common. */
interface GatewayRoute extends KubeObject {
  readonly spec: GatewayRouteSpec;
  readonly status?: { readonly parents?: readonly Parent[] };
}

interface GatewayRouteSpec {
  readonly parentRefs?: readonly object[];
  readonly hostnames?: readonly string[];
  readonly rules?: readonly GatewayRule[];
}

interface GatewayRule {
  readonly matches?: readonly object[];
  readonly filters?: readonly { readonly type: string; readonly requestMirror?: Mirror }[];
  readonly backendRefs?: readonly {
    readonly name: string;
    readonly port?: number;
    readonly weight?: number;
  }[];
}

interface Mirror {
  readonly backendRef: { readonly name: string };
}

interface Parent {
  readonly parentRef: { readonly name: string };
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly message?: string;
    readonly observedGeneration?: number;
  }[];
}

/**
 * The Gateway API's routes: an HTTPRoute with the weights, or a GRPCRoute, TLSRoute or TCPRoute where the service is
 * one of these or the user has made one.
 */
export function gatewayApiRouter(version: GatewayApiVersion): Router {
  const http: Kind<GatewayRoute> = { ...HTTPRouteKind, version };
  const others: readonly Kind<GatewayRoute>[] =
    version === "v1" ? [GRPCRouteKind, TLSRouteKind, TCPRouteKind] : [];

  function find({ namespace, names, service }: ReadCanary, snapshot: Snapshot) {
    for (const kind of [http, ...others]) {
      const route = snapshot.get(kind, namespace, names.apexService);
      if (route !== undefined) return { kind, route };
    }
    const protocol = service.appProtocol?.toLowerCase();
    const wanted = others.find(
      ({ kind }) => kind === `${protocol?.toUpperCase()}Route` && protocol !== "grpc",
    );
    return { kind: wanted ?? http, route: undefined };
  }

  function specOf(canary: ReadCanary, traffic: Traffic, kind: Kind): GatewayRouteSpec {
    const spec = buildHttpRouteSpec(canary, traffic, version);
    if (kind.kind === "HTTPRoute") return spec;
    // The other kinds know backends and, all but TCPRoute, host names; the user's own rules are theirs.
    const backendRefs = spec.rules?.at(-1)?.backendRefs ?? [];
    const { hostnames } = spec;
    const named = kind.kind !== "TCPRoute" && hostnames !== undefined;
    return { parentRefs: spec.parentRefs ?? [], ...(named && { hostnames }), rules: [{ backendRefs }] };
  }

  function build(canary: ReadCanary, traffic: Traffic, kind: Kind, owner: OwnerReference): GatewayRoute {
    const { service, names, namespace } = canary;
    return {
      apiVersion: `${kind.group}/${kind.version}`,
      kind: kind.kind,
      metadata: {
        name: names.apexService,
        namespace,
        ...(service.apex?.labels && { labels: service.apex.labels }),
        annotations: { ...service.apex?.annotations, ...fluxAnnotations },
        ownerReferences: [owner],
      },
      spec: specOf(canary, traffic, kind),
    };
  }

  return {
    kinds: [http, ...others],

    route: ({ namespace, names, service }) => {
      const protocol = service.appProtocol?.toUpperCase();
      const kind = others.find((other) => other.kind === `${protocol}Route` && protocol !== "GRPC") ?? http;
      return { kind: kind.kind, namespace, name: names.apexService };
    },

    observe(canary, wanted, snapshot): RouteObservation {
      const { kind, route } = find(canary, snapshot);
      if (route === undefined) return { kind: "missing" };
      const rules = rulesOf(canary, route.spec);
      const message = unusable(canary, route, rules);
      if (message !== undefined) {
        return {
          kind: "unusable",
          message: `${kind.kind.toLowerCase()} \`${route.metadata.name}\` ${message}`,
        };
      }
      const weights = isOurs(canary, route)
        ? canaryWeights(canary, specOf(canary, wanted, kind))
        : rules.map(({ matches }) => (takesPart(canary, matches) ? wanted.canaryWeight : 0));
      const mirrored = mirrorPaths(canary, route.spec).length > 0;
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
      const { kind, route: existing } = find(canary, snapshot);
      const desired = build(canary, wanted, kind, owner);
      if (existing === undefined) return [{ kind: "create", of: kind, object: desired }];
      if (!isOurs(canary, existing)) {
        if (rulesOf(canary, existing.spec).length > 0) return [];
        const metadata = { ...existing.metadata, annotations: takeOverAnnotations(existing) };
        return [
          { kind: "replace", of: kind, object: { ...existing, metadata, spec: desired.spec } as KubeObject },
        ];
      }
      const annotations = { ...existing.metadata.annotations, ...desired.metadata.annotations };
      const labels = { ...existing.metadata.labels, ...desired.metadata.labels };
      const metadata = {
        ...existing.metadata,
        annotations,
        ...(Object.keys(labels).length > 0 && { labels }),
      };
      const next = { ...existing, metadata, spec: desired.spec };
      if (sameJson(comparable(canary, next), comparable(canary, existing))) return [];
      return [{ kind: "replace", of: kind, object: next }];
    },

    setTraffic(canary, wanted, run, snapshot) {
      const { kind, route } = find(canary, snapshot);
      if (route === undefined) return undefined;
      const ours = isOurs(canary, route);
      const desired = ours ? specOf(canary, wanted, kind) : undefined;
      const rules = rulesOf(canary, route.spec);
      const rewrites =
        desired !== undefined && !sameJson(shape(canary, desired, true), shape(canary, route.spec, true));
      const weights = desired
        ? canaryWeights(canary, desired)
        : rules.map(({ matches }) => (takesPart(canary, matches) ? wanted.canaryWeight : 0));
      return patch(kind, route, [
        { op: "test", path: "/metadata/resourceVersion", value: route.metadata.resourceVersion },
        ...(rewrites
          ? [{ op: "add", path: "/spec/rules", value: desired.rules ?? [] } as const]
          : weightOperations(rules, weights)),
        ...runMarkOperations(route, run, wanted.canaryWeight),
      ]);
    },

    rollBack(canary, mark, snapshot) {
      const { kind, route } = find(canary, snapshot);
      if (route === undefined) return undefined;
      const rules = rulesOf(canary, route.spec);
      return patch(kind, route, [
        ...weightOperations(
          rules,
          rules.map(() => 0),
        ),
        ...mirrorPaths(canary, route.spec).map((path) => ({ op: "remove", path }) as const),
        ...rollbackMarkOperations(route, mark),
      ]);
    },

    clearRunMark(canary, snapshot) {
      const { kind, route } = find(canary, snapshot);
      const operations = route ? clearRunOperations(route) : [];
      return route && operations.length > 0 ? patch(kind, route, operations) : undefined;
    },

    revert(canary, owner, snapshot) {
      const { kind, route } = find(canary, snapshot);
      const object = route && !isOwned(route, owner) ? givenBack(route) : undefined;
      return object === undefined ? [] : [{ kind: "replace", of: kind, object }];
    },
  };
}

/** A rule that splits between both versions, with the number of its matches. */
interface SplitRule extends WeightedRule {
  readonly matches: number;
}

function rulesOf({ names }: ReadCanary, { rules = [] }: GatewayRouteSpec): readonly SplitRule[] {
  return rules.flatMap(({ backendRefs = [], matches = [] }, index): SplitRule[] => {
    const path = `/spec/rules/${index}/backendRefs`;
    const rule = weightedBackends(path, backendRefs, names.primaryService, names.canaryService);
    return rule ? [{ ...rule, matches: matches.length }] : [];
  });
}

function canaryWeights(canary: ReadCanary, spec: GatewayRouteSpec): readonly Percent[] {
  return rulesOf(canary, spec).map((rule) => rule.canary.weight ?? 0);
}

/** Why a route cannot carry the weights; undefined where it can. */
function unusable(
  canary: ReadCanary,
  route: GatewayRoute,
  rules: readonly WeightedRule[],
): string | undefined {
  const { primaryService, canaryService } = canary.names;
  if (!isOurs(canary, route)) {
    const beyond = beyondWeights(canary);
    if (beyond !== undefined) return beyond;
  } else if ((canary.service.gatewayRefs ?? []).length === 0) {
    return "has no parent: `service.gatewayRefs` must name a Gateway, or a Service for a mesh";
  }
  const unknown = unknownToGateways(canary.service.match);
  if (unknown.length > 0) return `cannot say \`service.match.${unknown[0]}\`: remove it`;
  if (rules.length === 0)
    return `has no rule with both \`${primaryService}\` and \`${canaryService}\`: add them to one rule`;
  const refused = route.status?.parents?.flatMap(({ parentRef, conditions = [] }) =>
    conditions
      .filter(({ type, status }) => type === "Accepted" && status === "False")
      .map(({ message = "" }) => `is not accepted by \`${parentRef.name}\`: ${message}`),
  );
  return refused?.[0];
}

function mirrorPaths({ names }: ReadCanary, { rules = [] }: GatewayRouteSpec): readonly string[] {
  return rules.flatMap(({ filters = [] }, rule) =>
    filters
      .flatMap(({ requestMirror }, index) =>
        requestMirror?.backendRef.name === names.canaryService
          ? [`/spec/rules/${rule}/filters/${index}`]
          : [],
      )
      // Removed from the end, so that the others keep their places.
      .toReversed(),
  );
}

function comparable(canary: ReadCanary, { metadata, spec }: GatewayRoute) {
  return {
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    spec: shape(canary, spec, false),
  };
}

/** A spec without its weights; `mirrors`: with what is copied to the canary. */
function shape({ names }: ReadCanary, spec: GatewayRouteSpec, mirrors: boolean) {
  const rules = spec.rules?.map(({ backendRefs, filters = [], ...rule }) => {
    const kept = filters.filter(
      ({ requestMirror }) => mirrors || requestMirror?.backendRef.name !== names.canaryService,
    );
    return {
      ...rule,
      ...(kept.length > 0 && { filters: kept }),
      backendRefs: backendRefs?.map(({ weight: _weight, ...backend }) => backend),
    };
  });
  return { ...spec, rules };
}

function patch(kind: Kind, { metadata }: GatewayRoute, operations: readonly JsonPatchOperation[]): Write {
  return {
    kind: "patch",
    of: kind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    operations,
  };
}
