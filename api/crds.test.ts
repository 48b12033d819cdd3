import { expect, test } from "vitest";
import { crds } from "./crds.ts";
import type { Schema } from "./schema/schema.ts";

const named = (name: string) => crds.find(({ metadata }) => metadata.name === name);

/** Places in a schema that a structural schema does not allow: no type, or a keyword that only values may have. */
function unstructured(schema: Schema, at: string): string[] {
  const typed =
    schema.type || schema["x-kubernetes-int-or-string"] || schema["x-kubernetes-preserve-unknown-fields"];
  const wrong = typed ? [] : [`${at}: no type`];
  if (schema.properties && schema.additionalProperties)
    wrong.push(`${at}: properties and additionalProperties`);
  if (schema.type === "array" && !schema.items) wrong.push(`${at}: list without items`);
  for (const branch of [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])]) {
    if (branch.type || branch.properties || branch.default !== undefined)
      wrong.push(`${at}: type in a branch`);
  }
  for (const required of schema.required ?? []) {
    if (!schema.properties?.[required]) wrong.push(`${at}: requires unknown ${required}`);
  }
  for (const [name, property] of Object.entries(schema.properties ?? {}))
    wrong.push(...unstructured(property, `${at}.${name}`));
  if (schema.items) wrong.push(...unstructured(schema.items, `${at}[]`));
  if (schema.additionalProperties) wrong.push(...unstructured(schema.additionalProperties, `${at}{}`));
  return wrong;
}

test.for(crds)("$metadata.name has a structural schema, a status subresource and is kept", (crd) => {
  expect(crd.metadata.name).toBe(`${crd.spec.names.plural}.${crd.spec.group}`);
  expect(crd.metadata.annotations?.["helm.sh/resource-policy"]).toBe("keep");
  expect(crd.spec.versions.filter(({ storage }) => storage)).toHaveLength(1);
  for (const version of crd.spec.versions) {
    expect(version.served).toBe(true);
    // A ReferenceGrant has no status by its specification.
    expect(version.subresources?.status !== undefined).toBe(crd.spec.names.kind !== "ReferenceGrant");
    expect(unstructured(version.schema?.openAPIV3Schema as Schema, version.name)).toEqual([]);
  }
});

test("groups and versions are the peers' own", () => {
  const versions = Object.fromEntries(
    crds.map(({ metadata, spec }) => [metadata.name, spec.versions.map(({ name }) => name).join()]),
  );
  expect(versions).toEqual({
    "canaries.flagger.app": "v1beta1",
    "metrictemplates.flagger.app": "v1beta1",
    "alertproviders.flagger.app": "v1beta1",
    "virtualservices.networking.istio.io": "v1,v1beta1,v1alpha3",
    "destinationrules.networking.istio.io": "v1,v1beta1,v1alpha3",
    "peerauthentications.security.istio.io": "v1,v1beta1",
    "authorizationpolicies.security.istio.io": "v1,v1beta1",
    "requestauthentications.security.istio.io": "v1,v1beta1",
    "gateways.networking.istio.io": "v1,v1alpha3,v1beta1",
    "serviceentries.networking.istio.io": "v1,v1alpha3,v1beta1",
    "workloadentries.networking.istio.io": "v1,v1alpha3,v1beta1",
    "sidecars.networking.istio.io": "v1,v1alpha3,v1beta1",
    "telemetries.telemetry.istio.io": "v1,v1alpha1",
    "gatewayclasses.gateway.networking.k8s.io": "v1,v1beta1",
    "gateways.gateway.networking.k8s.io": "v1,v1beta1",
    "httproutes.gateway.networking.k8s.io": "v1,v1beta1",
    "grpcroutes.gateway.networking.k8s.io": "v1",
    "tlsroutes.gateway.networking.k8s.io": "v1",
    "tcproutes.gateway.networking.k8s.io": "v1",
    "referencegrants.gateway.networking.k8s.io": "v1,v1beta1",
    "backendtlspolicies.gateway.networking.k8s.io": "v1",
  });
});

test("kubectl get canary shows Flagger's columns, and the reason in -o wide", () => {
  const columns = named("canaries.flagger.app")?.spec.versions[0]?.additionalPrinterColumns ?? [];
  expect(columns.filter(({ priority }) => !priority).map(({ name }) => name)).toEqual([
    "Status",
    "Weight",
    "LastTransitionTime",
  ]);
  expect(columns.filter(({ priority }) => priority).map(({ name }) => name)).toEqual([
    "Suspended",
    "FailedChecks",
    "Interval",
    "Mirror",
    "StepWeight",
    "StepWeights",
    "MaxWeight",
    "Reason",
  ]);
});

test("a Canary's schema stays below what etcd and kubectl's last-applied annotation hold", () => {
  for (const crd of crds) expect(JSON.stringify(crd).length).toBeLessThan(200_000);
});
