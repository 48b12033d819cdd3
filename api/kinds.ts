/** The kinds whose schemas stand in `charts/fairlead-crds`: their objects' types, and the descriptors to ask an API server for them. */
import type { AlertProviderFields } from "./generated/alertproviders.ts";
import type { AuthorizationPolicyFields } from "./generated/authorizationpolicies.ts";
import type { CanaryFields } from "./generated/canaries.ts";
import type { DestinationRuleFields } from "./generated/destinationrules.ts";
import type { MetricTemplateFields } from "./generated/metrictemplates.ts";
import type { PeerAuthenticationFields } from "./generated/peerauthentications.ts";
import type { RequestAuthenticationFields } from "./generated/requestauthentications.ts";
import type { VirtualServiceFields } from "./generated/virtualservices.ts";
import type { Kind, KubeObject } from "./resource.ts";

export type Canary = KubeObject & CanaryFields;
export type MetricTemplate = KubeObject & MetricTemplateFields;
export type AlertProvider = KubeObject & AlertProviderFields;
export type VirtualService = KubeObject & VirtualServiceFields;
export type DestinationRule = KubeObject & DestinationRuleFields;
export type PeerAuthentication = KubeObject & PeerAuthenticationFields;
export type AuthorizationPolicy = KubeObject & AuthorizationPolicyFields;
export type RequestAuthentication = KubeObject & RequestAuthenticationFields;

function flagger<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "flagger.app", version: "v1beta1", kind, plural, namespaced: true };
}

function networking<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "networking.istio.io", version: "v1", kind, plural, namespaced: true };
}

function security<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "security.istio.io", version: "v1", kind, plural, namespaced: true };
}

export const CanaryKind = flagger<Canary>("Canary", "canaries");
export const MetricTemplateKind = flagger<MetricTemplate>("MetricTemplate", "metrictemplates");
export const AlertProviderKind = flagger<AlertProvider>("AlertProvider", "alertproviders");
export const VirtualServiceKind = networking<VirtualService>("VirtualService", "virtualservices");
export const DestinationRuleKind = networking<DestinationRule>("DestinationRule", "destinationrules");
export const PeerAuthenticationKind = security<PeerAuthentication>(
  "PeerAuthentication",
  "peerauthentications",
);
export const AuthorizationPolicyKind = security<AuthorizationPolicy>(
  "AuthorizationPolicy",
  "authorizationpolicies",
);
export const RequestAuthenticationKind = security<RequestAuthentication>(
  "RequestAuthentication",
  "requestauthentications",
);
