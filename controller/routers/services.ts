import type { ReadCanary } from "../../api/canary/types.ts";
import { type PodTemplateSpec, type Service, ServiceKind } from "../../api/core.ts";
import type { ServiceMetadata } from "../../api/generated/canaries.ts";
import type { OwnerReference } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { sameJson } from "../revision.ts";
import { primaryValue, type SelectorLabel } from "../targets/selector.ts";
import type { Write } from "../write.ts";
import { fluxAnnotations } from "./flux.ts";
import { isTakenOver, takeOverAnnotations } from "./ownership.ts";

/** What generated objects are made of. */
export interface RouteSource {
  readonly canary: ReadCanary;
  readonly owner: OwnerReference;
  readonly selector: SelectorLabel;
  /** The target's pod template, for its ports. */
  readonly template: PodTemplateSpec;
  /** Whether the apex leads to the canary's pods, not the primary's. */
  readonly apexToCanary?: boolean;
}

type Port = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

/** Sidecars' own ports are not the application's. */
const proxies = new Set(["istio-proxy", "envoy"]);

/** The three Services: apex and primary lead to the primary's pods, canary to the target's. */
export function buildServices(source: RouteSource): {
  readonly apex: Service;
  readonly primary: Service;
  readonly canary: Service;
} {
  const { canary, selector, apexToCanary } = source;
  const { service, names } = canary;
  const apexPods = apexToCanary ? selector.value : primaryValue(selector);
  return {
    apex: buildService(source, names.apexService, apexPods, service.apex),
    primary: buildService(source, names.primaryService, primaryValue(selector), service.primary),
    canary: buildService(source, names.canaryService, selector.value, service.canary),
  };
}

function buildService(
  { canary, owner, selector, template }: RouteSource,
  name: string,
  pods: string,
  metadata: ServiceMetadata | undefined,
): Service {
  const { headless, trafficDistribution } = canary.service;
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: {
      name,
      namespace: canary.namespace,
      labels: { ...metadata?.labels, [selector.name]: name },
      annotations: { ...metadata?.annotations, ...fluxAnnotations },
      ownerReferences: [owner],
    },
    spec: {
      type: "ClusterIP",
      ...(headless && { clusterIP: "None" }),
      ...(trafficDistribution && { trafficDistribution }),
      selector: { [selector.name]: pods },
      ports: buildPorts(canary, template),
    },
  };
}

/** The Service's port, and with portDiscovery those of the containers that it does not name itself. */
function buildPorts({ service }: ReadCanary, template: PodTemplateSpec): Port[] {
  const { portName, port, targetPort, appProtocol, portDiscovery } = service;
  const first: Port = {
    name: portName,
    protocol: "TCP",
    port,
    targetPort,
    ...(appProtocol && { appProtocol }),
  };
  if (!portDiscovery) return [first];
  const known = new Set<number | string>([port, targetPort]);
  const found = (template.spec?.containers ?? [])
    .filter(({ name }) => !proxies.has(name))
    .flatMap((container) =>
      (container.ports ?? []).flatMap((found, index): Port[] => {
        const name = found.name ?? `tcp-${container.name}-${index}`;
        if (known.has(found.containerPort) || known.has(name) || name === portName) return [];
        return [
          {
            name,
            protocol: found.protocol ?? "TCP",
            port: found.containerPort,
            targetPort: found.containerPort,
          },
        ];
      }),
    );
  return [first, ...found];
}

/** Whether an object was made for this Canary: others are the user's. */
export function isOwned(
  object: { readonly metadata: { readonly ownerReferences?: readonly OwnerReference[] } },
  owner: OwnerReference,
): boolean {
  return (
    object.metadata.ownerReferences?.some(
      ({ uid, controller }) => controller === true && uid === owner.uid,
    ) === true
  );
}

/**
 * What must be written for `desired` to stand.
 *
 * Of a Service that was there before the Canary only ports, selector and Flux's annotations are changed. Node ports
 * that the server chose are kept.
 */
export function serviceWrite(desired: Service, source: RouteSource, snapshot: Snapshot): Write | undefined {
  const { name, namespace } = desired.metadata;
  const existing = snapshot.get(ServiceKind, namespace, name);
  if (existing === undefined) return { kind: "create", of: ServiceKind, object: desired };
  const owned = isOwned(existing, source.owner);
  const { unmanagedMetadata } = source.canary.service;
  const labels = owned
    ? managed(existing.metadata.labels, desired.metadata.labels, unmanagedMetadata?.labels)
    : existing.metadata.labels;
  const annotations = owned
    ? managed(existing.metadata.annotations, desired.metadata.annotations, unmanagedMetadata?.annotations)
    : isTakenOver(existing)
      ? existing.metadata.annotations
      : takeOverAnnotations(existing);
  const wanted: Service = {
    ...existing,
    metadata: { ...existing.metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
    spec: {
      ...existing.spec,
      ...(desired.spec?.selector && { selector: desired.spec.selector }),
      ports: keepNodePorts(desired.spec?.ports ?? [], existing.spec?.ports ?? []),
    },
  };
  if (sameJson(comparable(wanted), comparable(existing))) return undefined;
  return { kind: "replace", of: ServiceKind, object: wanted };
}

function comparable({ metadata, spec }: Service) {
  return {
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    selector: spec?.selector,
    ports: spec?.ports?.map(({ name, protocol = "TCP", port, targetPort, appProtocol }) => ({
      name,
      protocol,
      port,
      targetPort,
      appProtocol,
    })),
  };
}

function managed(
  present: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string>> | undefined,
  unmanaged: readonly string[] = [],
): Record<string, string> {
  const kept = Object.entries(present ?? {}).filter(
    ([key]) => unmanaged.includes(key) || key.startsWith("fairlead.dev/"),
  );
  return { ...Object.fromEntries(kept), ...wanted };
}

function keepNodePorts(wanted: readonly Port[], present: readonly Port[]): Port[] {
  return wanted.map((port) => {
    const nodePort = present.find(({ port: number }) => number === port.port)?.nodePort;
    return nodePort === undefined ? port : { ...port, nodePort };
  });
}
