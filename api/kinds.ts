/** The kinds whose schemas stand in `charts/fairlead-crds`: their objects' types, and the descriptors to ask an API server for them. */
import type { AlertProviderFields } from "./generated/alertproviders.ts";
import type { AuthorizationPolicyFields } from "./generated/authorizationpolicies.ts";
import type { BackendTLSPolicyFields } from "./generated/backendtlspolicies.ts";
import type { CanaryFields } from "./generated/canaries.ts";
import type { DestinationRuleFields } from "./generated/destinationrules.ts";
import type { GatewayFields } from "./generated/gateway-api-gateways.ts";
import type { GatewayClassFields } from "./generated/gatewayclasses.ts";
import type { GatewayFields as IstioGatewayFields } from "./generated/gateways.ts";
import type { GRPCRouteFields } from "./generated/grpcroutes.ts";
import type { HTTPRouteFields } from "./generated/httproutes.ts";
import type { MetricTemplateFields } from "./generated/metrictemplates.ts";
import type { PeerAuthenticationFields } from "./generated/peerauthentications.ts";
import type { ReferenceGrantFields } from "./generated/referencegrants.ts";
import type { RequestAuthenticationFields } from "./generated/requestauthentications.ts";
import type { ServiceEntryFields } from "./generated/serviceentries.ts";
import type { SidecarFields } from "./generated/sidecars.ts";
import type { TCPRouteFields } from "./generated/tcproutes.ts";
import type { TelemetryFields } from "./generated/telemetries.ts";
import type { TLSRouteFields } from "./generated/tlsroutes.ts";
import type { VirtualServiceFields } from "./generated/virtualservices.ts";
import type { WorkloadEntryFields } from "./generated/workloadentries.ts";
import type { Kind, KubeObject } from "./resource.ts";

export type Canary = KubeObject & CanaryFields;
export type MetricTemplate = KubeObject & MetricTemplateFields;
export type AlertProvider = KubeObject & AlertProviderFields;
export type VirtualService = KubeObject & VirtualServiceFields;
export type DestinationRule = KubeObject & DestinationRuleFields;
export type PeerAuthentication = KubeObject & PeerAuthenticationFields;
export type AuthorizationPolicy = KubeObject & AuthorizationPolicyFields;
export type RequestAuthentication = KubeObject & RequestAuthenticationFields;
export type IstioGateway = KubeObject & IstioGatewayFields;
export type ServiceEntry = KubeObject & ServiceEntryFields;
export type WorkloadEntry = KubeObject & WorkloadEntryFields;
export type Sidecar = KubeObject & SidecarFields;
export type Telemetry = KubeObject & TelemetryFields;
export type GatewayClass = KubeObject & GatewayClassFields;
export type Gateway = KubeObject & GatewayFields;
export type HTTPRoute = KubeObject & HTTPRouteFields;
export type GRPCRoute = KubeObject & GRPCRouteFields;
export type TLSRoute = KubeObject & TLSRouteFields;
export type TCPRoute = KubeObject & TCPRouteFields;
export type ReferenceGrant = KubeObject & ReferenceGrantFields;
export type BackendTLSPolicy = KubeObject & BackendTLSPolicyFields;

function flagger<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "flagger.app", version: "v1beta1", kind, plural, namespaced: true };
}

function networking<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "networking.istio.io", version: "v1", kind, plural, namespaced: true };
}

function security<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "security.istio.io", version: "v1", kind, plural, namespaced: true };
}

function telemetry<T extends KubeObject>(kind: string, plural: string): Kind<T> {
  return { group: "telemetry.istio.io", version: "v1", kind, plural, namespaced: true };
}

function gatewayApi<T extends KubeObject>(kind: string, plural: string, namespaced = true): Kind<T> {
  return { group: "gateway.networking.k8s.io", version: "v1", kind, plural, namespaced };
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
/** Istio's: `Gateway` alone is the Gateway API's. */
export const IstioGatewayKind = networking<IstioGateway>("Gateway", "gateways");
export const ServiceEntryKind = networking<ServiceEntry>("ServiceEntry", "serviceentries");
export const WorkloadEntryKind = networking<WorkloadEntry>("WorkloadEntry", "workloadentries");
export const SidecarKind = networking<Sidecar>("Sidecar", "sidecars");
export const TelemetryKind = telemetry<Telemetry>("Telemetry", "telemetries");
export const GatewayClassKind = gatewayApi<GatewayClass>("GatewayClass", "gatewayclasses", false);
export const GatewayKind = gatewayApi<Gateway>("Gateway", "gateways");
export const HTTPRouteKind = gatewayApi<HTTPRoute>("HTTPRoute", "httproutes");
export const GRPCRouteKind = gatewayApi<GRPCRoute>("GRPCRoute", "grpcroutes");
export const TLSRouteKind = gatewayApi<TLSRoute>("TLSRoute", "tlsroutes");
export const TCPRouteKind = gatewayApi<TCPRoute>("TCPRoute", "tcproutes");
export const ReferenceGrantKind = gatewayApi<ReferenceGrant>("ReferenceGrant", "referencegrants");
export const BackendTLSPolicyKind = gatewayApi<BackendTLSPolicy>("BackendTLSPolicy", "backendtlspolicies");
