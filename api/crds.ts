/** The CustomResourceDefinitions of `charts/fairlead-crds`, for the embedded API server and for reading. */
import type { CustomResourceDefinition } from "./core.ts";
import { crd as alertProviders } from "./generated/alertproviders.crd.ts";
import { crd as authorizationPolicies } from "./generated/authorizationpolicies.crd.ts";
import { crd as canaries } from "./generated/canaries.crd.ts";
import { crd as destinationRules } from "./generated/destinationrules.crd.ts";
import { crd as metricTemplates } from "./generated/metrictemplates.crd.ts";
import { crd as peerAuthentications } from "./generated/peerauthentications.crd.ts";
import { crd as requestAuthentications } from "./generated/requestauthentications.crd.ts";
import { crd as virtualServices } from "./generated/virtualservices.crd.ts";

export const crds: readonly CustomResourceDefinition[] = [
  canaries,
  metricTemplates,
  alertProviders,
  virtualServices,
  destinationRules,
  peerAuthentications,
  authorizationPolicies,
  requestAuthentications,
];
