/** The CustomResourceDefinitions of `charts/fairlead-crds`, for the embedded API server and for reading. */
import type { CustomResourceDefinition } from "./core.ts";
import { crd as alertProviders } from "./generated/alertproviders.crd.ts";
import { crd as authorizationPolicies } from "./generated/authorizationpolicies.crd.ts";
import { crd as backendTlsPolicies } from "./generated/backendtlspolicies.crd.ts";
import { crd as canaries } from "./generated/canaries.crd.ts";
import { crd as destinationRules } from "./generated/destinationrules.crd.ts";
import { crd as gateways } from "./generated/gateway-api-gateways.crd.ts";
import { crd as gatewayClasses } from "./generated/gatewayclasses.crd.ts";
import { crd as istioGateways } from "./generated/gateways.crd.ts";
import { crd as grpcRoutes } from "./generated/grpcroutes.crd.ts";
import { crd as httpRoutes } from "./generated/httproutes.crd.ts";
import { crd as metricTemplates } from "./generated/metrictemplates.crd.ts";
import { crd as peerAuthentications } from "./generated/peerauthentications.crd.ts";
import { crd as referenceGrants } from "./generated/referencegrants.crd.ts";
import { crd as requestAuthentications } from "./generated/requestauthentications.crd.ts";
import { crd as serviceEntries } from "./generated/serviceentries.crd.ts";
import { crd as sidecars } from "./generated/sidecars.crd.ts";
import { crd as tcpRoutes } from "./generated/tcproutes.crd.ts";
import { crd as telemetries } from "./generated/telemetries.crd.ts";
import { crd as tlsRoutes } from "./generated/tlsroutes.crd.ts";
import { crd as virtualServices } from "./generated/virtualservices.crd.ts";
import { crd as workloadEntries } from "./generated/workloadentries.crd.ts";

export const crds: readonly CustomResourceDefinition[] = [
  canaries,
  metricTemplates,
  alertProviders,
  virtualServices,
  destinationRules,
  peerAuthentications,
  authorizationPolicies,
  requestAuthentications,
  istioGateways,
  serviceEntries,
  workloadEntries,
  sidecars,
  telemetries,
  gatewayClasses,
  gateways,
  httpRoutes,
  grpcRoutes,
  tlsRoutes,
  tcpRoutes,
  referenceGrants,
  backendTlsPolicies,
];
