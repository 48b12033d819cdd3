import { PodKind } from "../api/core.ts";
import {
  AuthorizationPolicyKind,
  CanaryKind,
  type RequestAuthentication,
  RequestAuthenticationKind,
} from "../api/kinds.ts";
import type { Kind } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import { type KeySource, keySourceOf } from "../policy/compile/authentication.ts";
import { compilePolicies } from "../policy/compile/compile.ts";
import type { MeshSettings } from "../policy/compile/mesh.ts";
import { httpFilters, networkFilters } from "../policy/envoy/filters.ts";
import type { KeyStore } from "../policy/jwks/store.ts";
import type { PolicyFilters, PolicyFiltersOf } from "./build/workload-filters.ts";
import { gatewayOf, policyWorkload } from "./policy-workload.ts";

interface Compiled {
  /** What it was compiled from: a snapshot keeps a list's identity while its kind does not change. */
  readonly inputs: readonly unknown[];
  readonly text: string;
  readonly filters: PolicyFilters;
}

/** The kinds that policies are made of: watch them all. */
export const policyKinds: readonly Kind[] = [
  AuthorizationPolicyKind,
  RequestAuthenticationKind,
  CanaryKind,
  PodKind,
];

export interface PolicySource {
  readonly snapshot: () => Snapshot;
  /** The same object while nothing of it changes. */
  readonly settings: () => MeshSettings;
  /** The keys that were fetched. */
  readonly keys?: Pick<KeyStore, "keysOf" | "version">;
}

/**
 * The policies in force at each proxy, as Envoy filters: the same arrays while nothing that matters changes, so
 * that a policy elsewhere rebuilds no listener.
 */
export function createPolicyFilters({ snapshot, settings, keys }: PolicySource): PolicyFiltersOf {
  const byWorkload = new Map<string, Compiled>();

  return (proxy) => {
    const now = snapshot();
    const mesh = settings();
    const authorization = now.list(AuthorizationPolicyKind);
    const authentication = now.list(RequestAuthenticationKind);
    const inputs = [authorization, authentication, mesh, keys?.version];
    const { namespace, pod, facts } = proxy;
    // The API server's word, the node's own only where there is no pod.
    const labels = now.get(PodKind, namespace, pod)?.metadata.labels ?? proxy.labels;
    const known = policyWorkload(now, { namespace, name: facts.workload, labels });
    const workload = proxy.kind === "router" ? { ...known, ...gatewayOf(labels) } : known;
    const key = JSON.stringify([
      workload.namespace,
      workload.labels,
      workload.targetLabels,
      workload.gateway,
    ]);
    const before = byWorkload.get(key);
    if (before && inputs.every((input, index) => input === before.inputs[index])) return before.filters;
    const http = compilePolicies({ authorization, authentication }, workload, mesh, "http", keys?.keysOf);
    const tcp = compilePolicies({ authorization, authentication: [] }, workload, mesh, "tcp");
    const { pathNormalization: paths } = mesh;
    const text = JSON.stringify([http.policy, tcp.policy, paths]);
    const filters =
      before?.text === text
        ? before.filters
        : {
            http: httpFilters(http.policy, { strict: paths === "STRICT" }),
            network: networkFilters(tcp.policy),
            paths,
          };
    byWorkload.set(key, { inputs, text, filters });
    return filters;
  };
}

/** Where the keys of all rules are fetched from. */
export function keySources(authentication: readonly RequestAuthentication[]): readonly KeySource[] {
  return authentication.flatMap(({ spec }) =>
    (spec?.jwtRules ?? []).flatMap((rule) => keySourceOf(rule) ?? []),
  );
}
