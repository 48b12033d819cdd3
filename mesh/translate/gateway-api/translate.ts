import { ConfigMapKind, NamespaceKind } from "../../../api/core.ts";
import {
  BackendTLSPolicyKind,
  GatewayClassKind,
  GatewayKind,
  GRPCRouteKind,
  HTTPRouteKind,
  ReferenceGrantKind,
  TCPRouteKind,
  TLSRouteKind,
} from "../../../api/kinds.ts";
import type { Kind } from "../../../api/resource.ts";
import type { Snapshot } from "../../../kube/contract.ts";
import type { Credential } from "../../model/credential.ts";
import type { DestinationPolicy } from "../../model/destination-policy.ts";
import type { Gateway } from "../../model/gateway.ts";
import type { RouteTable } from "../../model/route.ts";
import type { Service } from "../../model/service.ts";
import { readBackendTls } from "./backend-tls.ts";
import {
  condition,
  controllerName,
  type GatewayStatus,
  type ParentRef,
  type PolicyStatus,
  type RouteStatus,
} from "./conditions.ts";
import { createGrants } from "./grants.ts";
import { configMapCredential, readGateway } from "./listeners.ts";
import { readRoutes } from "./routes.ts";

/** The kinds that the Gateway API is made of: watch them all. */
export const gatewayApiKinds: readonly Kind[] = [
  GatewayClassKind,
  GatewayKind,
  HTTPRouteKind,
  GRPCRouteKind,
  TLSRouteKind,
  TCPRouteKind,
  ReferenceGrantKind,
  BackendTLSPolicyKind,
  NamespaceKind,
  ConfigMapKind,
];

/** What the Gateway API's objects say, and what their statuses should. */
export interface GatewayApi {
  readonly gateways: readonly Gateway[];
  /** Of gateways, and of the mesh (`parentRefs` to Services). */
  readonly routes: readonly RouteTable[];
  readonly policies: readonly DestinationPolicy[];
  /** Roots that stand in ConfigMaps, as credentials. */
  readonly credentials: ReadonlyMap<string, Credential>;
  readonly statuses: {
    readonly gateways: readonly GatewayStatus[];
    readonly routes: readonly RouteStatus[];
    readonly policies: readonly PolicyStatus[];
  };
}

export interface GatewayApiInputs {
  readonly domain: string;
  readonly services: ReadonlyMap<string, Service>;
  /** Of Secrets. */
  readonly credentials: ReadonlyMap<string, Credential>;
}

export const noGatewayApi: GatewayApi = {
  gateways: [],
  routes: [],
  policies: [],
  credentials: new Map(),
  statuses: { gateways: [], routes: [], policies: [] },
};

/** Translates all of the Gateway API that is ours: Gateways whose class names our controller, and what attaches to them. */
export function translateGatewayApi(snapshot: Snapshot, inputs: GatewayApiInputs): GatewayApi {
  const { domain, services } = inputs;
  const classes = new Set(
    snapshot
      .list(GatewayClassKind)
      .filter(({ spec }) => spec.controllerName === controllerName && spec.parametersRef === undefined)
      .map(({ metadata }) => metadata.name),
  );
  const rooted = configMapRoots(snapshot);
  const credentials = new Map([...inputs.credentials, ...rooted]);
  const mayRefer = createGrants(snapshot.list(ReferenceGrantKind));
  const gateways = snapshot
    .list(GatewayKind)
    .filter(({ spec }) => classes.has(spec.gatewayClassName))
    .map((object) => readGateway(object, { mayRefer, credentials }));
  const labelsOf = (namespace: string) =>
    snapshot.get(NamespaceKind, undefined, namespace)?.metadata.labels ?? {};
  const { tables, statuses, attached, ancestors } = readRoutes(snapshot, gateways, {
    domain,
    services,
    mayRefer,
    labelsOf,
  });
  const backendTls = readBackendTls(snapshot.list(BackendTLSPolicyKind), {
    domain,
    services,
    credentials,
    ancestorsOf: (host): readonly ParentRef[] => ancestors.get(host) ?? [],
  });
  return {
    gateways: gateways.map(({ gateway }) => gateway),
    routes: tables,
    policies: backendTls.policies,
    credentials: rooted,
    statuses: {
      gateways: gateways.map(({ source, listeners, resolved, refused, insecure }): GatewayStatus => {
        const served = listeners.some(({ server }) => server !== undefined);
        const allFine = listeners.every(({ server }) => server !== undefined);
        return {
          gateway: source,
          resolved,
          insecure,
          accepted:
            refused ??
            condition(
              "Accepted",
              served,
              allFine ? "Accepted" : "ListenersNotValid",
              allFine ? "" : "see the conditions of the listeners",
            ),
          listeners: listeners.map(({ listener, routeId, kinds, conditions }) => ({
            name: listener.name,
            attachedRoutes: attached.get(routeId) ?? 0,
            supportedKinds: kinds.map((kind) => ({ group: "gateway.networking.k8s.io", kind })),
            conditions,
          })),
        };
      }),
      routes: statuses,
      policies: backendTls.statuses,
    },
  };
}

/** Roots in ConfigMaps (`ca.crt`), for those that a Gateway or a BackendTLSPolicy names. */
function configMapRoots(snapshot: Snapshot): ReadonlyMap<string, Credential> {
  const wanted = new Set<string>();
  const want = (namespace: string, { kind, name }: { readonly kind: string; readonly name: string }) => {
    if (kind === "ConfigMap") wanted.add(`${namespace}/${name}`);
  };
  for (const { metadata, spec } of snapshot.list(BackendTLSPolicyKind))
    for (const ref of spec.validation.caCertificateRefs ?? []) want(metadata.namespace ?? "default", ref);
  for (const { metadata, spec } of snapshot.list(GatewayKind)) {
    const { frontend } = spec.tls ?? {};
    const validations = [frontend?.default, ...(frontend?.perPort ?? []).map(({ tls }) => tls)];
    for (const ref of validations.flatMap((one) => one?.validation?.caCertificateRefs ?? []))
      want(ref.namespace ?? metadata.namespace ?? "default", ref);
  }
  const found = new Map<string, Credential>();
  for (const key of wanted) {
    const slash = key.indexOf("/");
    const [namespace, name] = [key.slice(0, slash), key.slice(slash + 1)];
    const roots = snapshot.get(ConfigMapKind, namespace, name)?.data?.["ca.crt"];
    if (roots === undefined) continue;
    const credential = {
      namespace,
      name: configMapCredential(name),
      certificate: undefined,
      key: undefined,
      roots,
    };
    found.set(`${namespace}/${credential.name}`, { ...credential, revoked: undefined });
  }
  return found;
}
