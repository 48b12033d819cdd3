import { type Caller, isVisible, selectorText } from "./caller.ts";
import type { Credential } from "./credential.ts";
import type { DestinationPolicy } from "./destination-policy.ts";
import type { ServiceEndpoints } from "./endpoint.ts";
import type { Gateway } from "./gateway.ts";
import { type HostIndex, hostIndex } from "./host-index.ts";
import type { MutualTlsRule } from "./mutual-tls.ts";
import type { RouteTable } from "./route.ts";
import type { Service } from "./service.ts";
import type { EgressListener, SidecarRule } from "./sidecar.ts";
import type { TelemetryModel } from "./telemetry.ts";
import { selects, type Workload } from "./workload.ts";

/** What holds for the whole mesh. */
export interface MeshSettings {
  /** e.g. `cluster.local` */
  readonly trustDomain: string;
  /** Of Services' hosts, e.g. `cluster.local`. */
  readonly domain: string;
  /** Its policies hold for all namespaces, e.g. `istio-system`. */
  readonly rootNamespace: string;
  /** Hosts that nobody declared: pass them on, or answer 502. */
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
}

/**
 * Everything the mesh routes by, free of Kubernetes' and Envoy's forms.
 *
 * Parts that do not change between two models are the same objects, so whoever builds from them can tell by identity
 * what is left to do.
 */
export interface Model {
  readonly settings: MeshSettings;
  /** By host. */
  readonly services: ReadonlyMap<string, Service>;
  /** By host. */
  readonly endpoints: ReadonlyMap<string, ServiceEndpoints>;
  /** By namespace and pod, `demo/shop-7d4`. */
  readonly workloads: ReadonlyMap<string, Workload>;
  /** Oldest first: of two for one host the older counts. */
  readonly routes: readonly RouteTable[];
  /** Oldest first. */
  readonly policies: readonly DestinationPolicy[];
  /** Oldest first. */
  readonly mutualTls: readonly MutualTlsRule[];
  /** Oldest first; absent where there are none. */
  readonly gateways?: readonly Gateway[];
  /** By namespace and name of the Secret; absent where nobody asks for one. */
  readonly credentials?: ReadonlyMap<string, Credential>;
  /** Absent where nobody says anything of it. */
  readonly telemetry?: TelemetryModel;
  /** Oldest first; absent where there are none. */
  readonly sidecars?: readonly SidecarRule[];
  /** Listeners of the caller's Sidecar; only where the model is cut down to what that lets in. */
  readonly egress?: readonly EgressListener[];
}

export const defaultSettings: MeshSettings = {
  trustDomain: "cluster.local",
  domain: "cluster.local",
  rootNamespace: "istio-system",
  outboundTrafficPolicy: "ALLOW_ANY",
};

/** The route table for a host: its own, else the longest wildcard's. */
export function routeTableFor(routes: readonly RouteTable[], host: string): RouteTable | undefined {
  return indexed(routesByHost, routes, () => hostIndex(routes, ({ hosts }) => hosts)).find(host);
}

/**
 * The policy by which a caller reaches a host of `serviceNamespace`: its own namespace's, else the Service's, else the
 * root namespace's. Of one namespace's, one whose selector the caller carries counts before all; others for the same
 * host are one: the oldest's policy and all subsets.
 */
export function policyFor(
  { policies, settings }: Pick<Model, "policies" | "settings">,
  caller: Caller,
  host: string,
  serviceNamespace: string,
): DestinationPolicy | undefined {
  if (policies.length === 0) return undefined;
  const ofCallers = indexed(policiesByCaller, policies, () => new Map<string, PolicyIndex>());
  const byNamespace = ofCallers.get(caller.key) ?? indexPolicies(policies, caller);
  ofCallers.set(caller.key, byNamespace);
  for (const from of [caller.namespace, serviceNamespace, settings.rootNamespace]) {
    const found = byNamespace.get(from)?.find(host);
    if (found !== undefined) return found;
  }
  return undefined;
}

type PolicyIndex = ReadonlyMap<string, HostIndex<DestinationPolicy>>;

function indexPolicies(policies: readonly DestinationPolicy[], caller: Caller): PolicyIndex {
  const visible = policies.filter(
    ({ exportTo, selector, namespace }) =>
      isVisible(exportTo, caller.namespace) &&
      (selector === undefined ||
        (namespace === caller.namespace && caller.selected.has(selectorText(selector)))),
  );
  const groups = Map.groupBy(visible, ({ namespace }) => namespace);
  return new Map(
    Array.from(groups, ([from, own]) => {
      const byHost = [...Map.groupBy(own, ({ host }) => host).values()];
      return [from, hostIndex(byHost.flatMap(mergeRules), ({ host }) => [host])];
    }),
  );
}

/** What several rules of a namespace for one host are together. */
function mergeRules(rules: readonly DestinationPolicy[]): DestinationPolicy[] {
  const chosen = rules.find(({ selector }) => selector !== undefined);
  const [oldest, ...others] = chosen === undefined ? rules : [chosen];
  if (oldest === undefined) return [];
  if (others.length === 0) return [oldest];
  const known = merged.get(oldest);
  if (known?.others.length === others.length && known.others.every((rule, index) => rule === others[index]))
    return [known.rule];
  const all = [oldest, ...others];
  const first = all.find(({ policy, byPort }) => Object.keys(policy).length > 0 || byPort.size > 0) ?? oldest;
  const subsets = [
    ...Map.groupBy(
      all.flatMap((rule) => rule.subsets),
      ({ name }) => name,
    ).values(),
  ].flatMap(([first]) => first ?? []);
  const rule = { ...oldest, policy: first.policy, byPort: first.byPort, subsets, merged: others };
  merged.set(oldest, { others, rule });
  return [rule];
}

const merged = new WeakMap<
  DestinationPolicy,
  { readonly others: readonly DestinationPolicy[]; readonly rule: DestinationPolicy }
>();

/** The Services that select a pod, oldest first. */
export function servicesOver(
  services: Model["services"],
  namespace: string,
  labels: Readonly<Record<string, string>>,
): readonly Service[] {
  const bySelector = indexed(servicesBySelector, services, () => {
    const selecting = services.values().filter(({ selector }) => Object.keys(selector).length > 0);
    return Map.groupBy(selecting, (service) => {
      const [[name, value] = ["", ""]] = Object.entries(service.selector);
      return selectorKey(service.namespace, name, value);
    });
  });
  return Object.entries(labels)
    .flatMap(([name, value]) => bySelector.get(selectorKey(namespace, name, value)) ?? [])
    .filter(({ selector }) => selects(selector, labels))
    .sort((a, b) =>
      a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : a.host < b.host ? -1 : 1,
    );
}

function selectorKey(namespace: string, name: string, value: string): string {
  return `${namespace} ${name}=${value}`;
}

const routesByHost = new WeakMap<readonly RouteTable[], HostIndex<RouteTable>>();
const policiesByCaller = new WeakMap<readonly DestinationPolicy[], Map<string, PolicyIndex>>();
const servicesBySelector = new WeakMap<Model["services"], ReadonlyMap<string, readonly Service[]>>();

/** What is kept of a part of the model for as long as this part lives. */
function indexed<Part extends object, Index>(
  known: WeakMap<Part, Index>,
  part: Part,
  build: () => Index,
): Index {
  const index = known.get(part) ?? build();
  known.set(part, index);
  return index;
}
