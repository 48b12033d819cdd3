import type { ReadCanary } from "../../api/canary/types.ts";
import { type Ingress, IngressKind } from "../../api/core.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { JsonPatchOperation, Snapshot } from "../../kube/contract.ts";
import type { RouteObservation } from "../decide/observation.ts";
import type { Traffic } from "../decide/traffic.ts";
import { sameJson } from "../revision.ts";
import { annotationOperations, type Write } from "../write.ts";
import { fluxAnnotations } from "./flux.ts";
import { clearRunOperations, readMarks, rollbackMarkOperations, runMarkOperations } from "./marks.ts";
import type { Router } from "./router.ts";

const prefix = "nginx.ingress.kubernetes.io";
const canaryAnnotation = `${prefix}/canary`;
const weightAnnotation = `${prefix}/canary-weight`;

/**
 * NGINX ingress: beside the user's Ingress stands `<ingress>-canary`, the same with the canary's Service, whose
 * annotations say what it takes. The user's Ingress is never written.
 */
export const nginxRouter: Router = {
  kinds: [IngressKind],

  route: (canary) => ({ kind: "Ingress", namespace: canary.namespace, name: canaryName(canary) }),

  observe(canary, wanted, snapshot): RouteObservation {
    const source = sourceOf(canary, snapshot);
    if (source === undefined) {
      const name = canary.object.spec.ingressRef?.name;
      const message = name ? `ingress \`${name}\` not found` : "`ingressRef` is required: name the Ingress";
      return { kind: "unusable", message };
    }
    if (!leadsToApex(canary, source)) {
      const message = `ingress \`${source.metadata.name}\` has no path to the service \`${canary.names.apexService}\``;
      return { kind: "unusable", message };
    }
    const route = find(canary, snapshot);
    if (route === undefined) return { kind: "missing" };
    const present = route.metadata.annotations ?? {};
    const carried = trafficAnnotations(canary, wanted);
    return {
      kind: "present",
      canaryWeight: shareOf(present),
      consistent: true,
      mirrored: false,
      asWanted: Object.entries(carried).every(([name, value]) => present[name] === value),
      ...readMarks(route),
    };
  },

  objects(canary, owner, wanted, snapshot) {
    const source = sourceOf(canary, snapshot);
    if (source === undefined || !leadsToApex(canary, source)) return [];
    const desired = buildCanaryIngress(canary, source, wanted, owner);
    const existing = find(canary, snapshot);
    if (existing === undefined) return [{ kind: "create", of: IngressKind, object: desired }];
    if (sameJson(existing.spec, desired.spec)) return [];
    const object = { ...existing, spec: desired.spec } as Ingress;
    return [{ kind: "replace", of: IngressKind, object }];
  },

  setTraffic(canary, wanted, run, snapshot) {
    const route = find(canary, snapshot);
    if (route === undefined) return undefined;
    return patch(route, [
      { op: "test", path: "/metadata/resourceVersion", value: route.metadata.resourceVersion },
      ...annotationOperations(route.metadata.annotations, trafficAnnotations(canary, wanted)),
      ...runMarkOperations(route, run, wanted.canaryWeight),
    ]);
  },

  rollBack(canary, mark, snapshot) {
    const route = find(canary, snapshot);
    if (route === undefined) return undefined;
    return patch(route, [
      ...annotationOperations(route.metadata.annotations, {
        [canaryAnnotation]: "false",
        [weightAnnotation]: undefined,
      }),
      ...rollbackMarkOperations(route, mark),
    ]);
  },

  clearRunMark(canary, snapshot) {
    const route = find(canary, snapshot);
    const operations = route ? clearRunOperations(route) : [];
    return route && operations.length > 0 ? patch(route, operations) : undefined;
  },

  // The canary's Ingress goes with the Canary, and the user's was never changed.
  revert: () => [],
};

function canaryName({ object }: ReadCanary): string {
  return `${object.spec.ingressRef?.name ?? ""}-canary`;
}

function sourceOf({ object, namespace }: ReadCanary, snapshot: Snapshot): Ingress | undefined {
  const { ingressRef } = object.spec;
  return ingressRef && snapshot.get(IngressKind, namespace, ingressRef.name);
}

function find(canary: ReadCanary, snapshot: Snapshot): Ingress | undefined {
  return snapshot.get(IngressKind, canary.namespace, canaryName(canary));
}

/** The user's Ingress with the canary's Service in place of the apex. */
function buildCanaryIngress(
  canary: ReadCanary,
  source: Ingress,
  wanted: Traffic,
  owner: OwnerReference,
): Ingress {
  const { namespace, names } = canary;
  const rules = source.spec?.rules?.map((rule) => ({
    ...rule,
    ...(rule.http && {
      http: {
        ...rule.http,
        paths: rule.http.paths
          .filter(({ backend }) => backend.service?.name === names.apexService)
          .map((path) => ({
            ...path,
            backend: { ...path.backend, service: { ...path.backend.service, name: names.canaryService } },
          })),
      },
    }),
  }));
  const annotations = Object.entries(source.metadata.annotations ?? {}).filter(
    ([name]) => !name.startsWith("kubectl.kubernetes.io/") && !name.includes("toolkit.fluxcd.io"),
  );
  const carried = Object.entries(trafficAnnotations(canary, wanted)).filter(
    ([, value]) => value !== undefined,
  );
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: {
      name: canaryName(canary),
      namespace,
      ...(source.metadata.labels && { labels: source.metadata.labels }),
      annotations: { ...Object.fromEntries(annotations), ...fluxAnnotations, ...Object.fromEntries(carried) },
      ownerReferences: [owner],
    },
    spec: {
      ...source.spec,
      ...(rules && { rules: rules.filter(({ http }) => (http?.paths.length ?? 0) > 0) }),
    },
  };
}

function leadsToApex({ names }: ReadCanary, { spec }: Ingress): boolean {
  const paths = (spec?.rules ?? []).flatMap(({ http }) => http?.paths ?? []);
  return paths.some(({ backend }) => backend.service?.name === names.apexService);
}

/** What the annotations say for this traffic; undefined takes one away. */
function trafficAnnotations(
  { analysis }: ReadCanary,
  { canaryWeight }: Traffic,
): Record<string, string | undefined> {
  const match = analysis.strategy.kind === "ab-testing" ? analysis.strategy.match : [];
  const live = canaryWeight > 0;
  const headers = match.flatMap(({ headers = {} }) => Object.entries(headers));
  const cookie = headers.find(([name]) => name.toLowerCase() === "cookie")?.[1];
  const header = headers.find(([name]) => name.toLowerCase() !== "cookie");
  const by = (name: string) => `${prefix}/canary-by-${name}`;
  return {
    [canaryAnnotation]: live ? "true" : "false",
    [weightAnnotation]: live && match.length === 0 ? String(canaryWeight) : undefined,
    [by("cookie")]: live ? cookie?.exact : undefined,
    [by("header")]: live ? header?.[0] : undefined,
    [by("header-value")]: live ? header?.[1].exact : undefined,
    [by("header-pattern")]: live ? header?.[1].regex : undefined,
  };
}

/** The canary's share as the annotations have it; a match takes all that fits. */
function shareOf(annotations: Readonly<Record<string, string>>): number {
  if (annotations[canaryAnnotation] !== "true") return 0;
  const weight = Number(annotations[weightAnnotation]);
  return Number.isNaN(weight) ? 100 : weight;
}

function patch({ metadata }: Ingress, operations: readonly JsonPatchOperation[]): Write {
  return {
    kind: "patch",
    of: IngressKind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    operations,
  };
}
