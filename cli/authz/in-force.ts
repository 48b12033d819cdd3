import {
  type AuthorizationPolicy,
  AuthorizationPolicyKind,
  PeerAuthenticationKind,
  type RequestAuthentication,
  RequestAuthenticationKind,
} from "../../api/kinds.ts";
import type { Problem } from "../../api/resource.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { type MutualTlsMode, mutualTlsMode } from "../../mesh/model/mutual-tls.ts";
import { gatewayOf, policyWorkload } from "../../mesh/policy-workload.ts";
import { translatePeerAuthentication } from "../../mesh/translate/peer-authentication.ts";
import type { KeysOf } from "../../policy/compile/authentication.ts";
import { actionOf, compilePolicies, isDryRun } from "../../policy/compile/compile.ts";
import { selectFor, targetsOf, type Workload } from "../../policy/compile/select.ts";
import type { WorkloadPolicy } from "../../policy/model.ts";
import type { Scope } from "./scope.ts";
import type { Target } from "./workload.ts";

/** A policy that is in force at a workload. */
export interface PolicyInForce {
  readonly kind: "AuthorizationPolicy" | "RequestAuthentication";
  readonly namespace: string;
  readonly name: string;
  /** In the order of deciding: CUSTOM, JWT, AUDIT, DENY, ALLOW. */
  readonly action: "CUSTOM" | "JWT" | "AUDIT" | "DENY" | "ALLOW";
  readonly mode: "enforced" | "dry-run";
  readonly rules: number;
  /** By what it covers the workload; `target`: only by the labels of the target that a Canary generated it from; `gateway`: by `targetRefs`. */
  readonly by: "mesh" | "namespace" | "labels" | "target" | "gateway";
}

const order = ["CUSTOM", "JWT", "AUDIT", "DENY", "ALLOW"] as const;

/** Whom policies are looked up for: a workload, or the Gateway whose proxy it is. */
function selected(snapshot: Snapshot, target: Target): Workload {
  return { ...policyWorkload(snapshot, target), ...gatewayOf(target.labels) };
}

/** The policies in force at a workload, in the order of deciding. */
export function policiesInForce({ snapshot, mesh }: Scope, target: Target): PolicyInForce[] {
  const workload = selected(snapshot, target);
  const word = (policy: AuthorizationPolicy | RequestAuthentication) => ({
    namespace: policy.metadata.namespace ?? "default",
    name: policy.metadata.name,
    by: coveredBy(policy, workload, mesh.rootNamespace),
  });
  const { rootNamespace } = mesh;
  const authorization = selectFor(snapshot.list(AuthorizationPolicyKind), workload, rootNamespace).map(
    (policy): PolicyInForce => ({
      kind: "AuthorizationPolicy",
      ...word(policy),
      action: actionOf(policy),
      mode: isDryRun(policy) ? "dry-run" : "enforced",
      rules: policy.spec?.rules?.length ?? 0,
    }),
  );
  const authentication = selectFor(snapshot.list(RequestAuthenticationKind), workload, rootNamespace).map(
    (policy): PolicyInForce => ({
      kind: "RequestAuthentication",
      ...word(policy),
      action: "JWT",
      mode: "enforced",
      rules: policy.spec?.jwtRules?.length ?? 0,
    }),
  );
  return [...authentication, ...authorization].sort(
    (a, b) => order.indexOf(a.action) - order.indexOf(b.action),
  );
}

function coveredBy(
  policy: AuthorizationPolicy | RequestAuthentication,
  { labels }: Workload,
  rootNamespace: string,
): PolicyInForce["by"] {
  if (targetsOf(policy).length > 0) return "gateway";
  const { metadata, spec } = policy;
  const wanted = Object.entries(spec?.selector?.matchLabels ?? {});
  if (wanted.length === 0) return metadata.namespace === rootNamespace ? "mesh" : "namespace";
  return wanted.every(([key, value]) => labels[key] === value) ? "labels" : "target";
}

/** The policies of a workload, compiled for one protocol. */
export function compileFor(
  { snapshot, mesh }: Scope,
  target: Target,
  protocol: "http" | "tcp",
  keysOf?: KeysOf,
): { readonly policy: WorkloadPolicy; readonly problems: readonly Problem[] } {
  const policies = {
    authorization: snapshot.list(AuthorizationPolicyKind),
    authentication: snapshot.list(RequestAuthenticationKind),
  };
  return compilePolicies(policies, selected(snapshot, target), mesh, protocol, keysOf);
}

/** How a workload's port takes connections. */
export function mutualTlsOf({ snapshot, mesh }: Scope, target: Target, port: number): MutualTlsMode {
  const rules = snapshot
    .list(PeerAuthenticationKind)
    .map(translatePeerAuthentication)
    .toSorted((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0));
  return mutualTlsMode(rules, mesh.rootNamespace, target, port);
}
