import { type Service, ServiceKind } from "../../api/core.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { JsonPatchOperation } from "../../kube/contract.ts";
import { sameJson } from "../revision.ts";
import { fluxAnnotations } from "../routers/flux.ts";
import { annotationOperations } from "../write.ts";
import { copiedKeys } from "./copied-keys.ts";
import type { Target, TargetKind, Template } from "./kind.ts";
import { promotionAnnotation } from "./template.ts";

export type ServiceSpec = NonNullable<Service["spec"]>;

/** What a Service leads to, without what the server chose for it: that is what is released where a Service is the target. */
export interface ServiceTemplate {
  readonly service: ServiceSpec;
  /** Of a primary: which promotion it comes from. */
  readonly promotion?: string;
}

const templates = new WeakMap<Service, ServiceTemplate>();

/**
 * A Service as target: its pods are somebody else's. `<target>-primary` keeps the promoted spec, `<target>-canary` has
 * the present one, and the target itself is never written. Nothing is scaled and nothing waits for pods, as in Flagger.
 */
export const services: TargetKind<Service> = {
  kind: ServiceKind,
  unusable: ({ spec }) =>
    spec?.selector === undefined && spec?.type !== "ExternalName"
      ? "has no `spec.selector`: its copies would lead nowhere"
      : undefined,
  template(service) {
    const known = templates.get(service);
    if (known !== undefined) return known;
    const template = { service: leads(service.spec ?? {}) };
    templates.set(service, template);
    return template;
  },
  replicas: () => 1,
  scale: () => [],
  rolloutFields: () => ({}),
  firstFields: () => ({}),
  readiness: () => ({ kind: "ready" }),
  pods: () => ({}),
};

export function isService(target: Target): target is Service {
  return target.kind === ServiceKind.kind;
}

export function isServiceTemplate(template: Template): template is ServiceTemplate {
  return "service" in template;
}

/** The fields that say where a Service leads. Addresses, node ports and load balancers are the target's own. */
function leads(spec: ServiceSpec): ServiceSpec {
  const { selector, ports, externalName, sessionAffinity, sessionAffinityConfig } = spec;
  const { publishNotReadyAddresses, trafficDistribution, internalTrafficPolicy } = spec;
  const { ipFamilies, ipFamilyPolicy, type, clusterIP } = spec;
  const fields = {
    ...{ selector, externalName, sessionAffinity, sessionAffinityConfig, publishNotReadyAddresses },
    ...{ trafficDistribution, internalTrafficPolicy, ipFamilies, ipFamilyPolicy },
    ports: ports?.map(({ nodePort: _chosen, ...port }) => port),
    type: type === "ExternalName" ? type : "ClusterIP",
    clusterIP: clusterIP === "None" ? clusterIP : undefined,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** What a primary serves as it stands. */
export function presentService(service: Service): ServiceTemplate {
  const promotion = service.metadata.annotations?.[promotionAnnotation];
  return { service: leads(service.spec ?? {}), ...(promotion !== undefined && { promotion }) };
}

/** Whether both lead to the same, whichever promotion they come from. */
export function sameService(a: ServiceTemplate, b: ServiceTemplate): boolean {
  return sameJson(a.service, b.service);
}

/** A Service of a Canary's that leads where `template` does; labels and annotations are the target's, and `metadata`'s. */
export function buildServiceCopy(
  target: Service,
  name: string,
  { service, promotion }: ServiceTemplate,
  owner: OwnerReference,
  metadata: {
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  } = {},
): Service {
  const { namespace, labels, annotations } = target.metadata;
  const { "kubectl.kubernetes.io/last-applied-configuration": _applied, ...copied } = copiedKeys(
    annotations,
    ["*"],
  );
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      labels: { ...copiedKeys(labels, ["*"]), ...metadata.labels },
      annotations: {
        ...copied,
        ...metadata.annotations,
        ...fluxAnnotations,
        ...(promotion !== undefined && { [promotionAnnotation]: promotion }),
      },
      ownerReferences: [owner],
    },
    spec: service,
  };
}

/** A copy that leads where `template` does, with the addresses that the server gave it; undefined where it does. */
export function changedCopy(present: Service, template: ServiceTemplate): Service | undefined {
  if (sameService(presentService(present), template)) return undefined;
  return { ...present, spec: { ...template.service, ...addresses(present, template) } };
}

/** Operations that make a primary serve `template`. */
export function serviceOperations(
  present: Service,
  template: ServiceTemplate,
): readonly JsonPatchOperation[] {
  const value = { ...template.service, ...addresses(present, template) };
  return [
    { op: "add", path: "/spec", value },
    ...annotationOperations(present.metadata.annotations, { [promotionAnnotation]: template.promotion }),
  ];
}

/** A ClusterIP never changes; an ExternalName has none. */
function addresses({ spec }: Service, { service }: ServiceTemplate): ServiceSpec {
  if (service.type === "ExternalName" || spec?.type === "ExternalName" || !spec?.clusterIP) return {};
  const { clusterIP, clusterIPs } = spec;
  return { clusterIP, ...(clusterIPs && { clusterIPs }) };
}
