import type { Caller } from "../model/caller.ts";
import { clientCredential, clientCredentialFault, secretsFor } from "../model/client-credential.ts";
import { credentialName, rootsName } from "../model/gateway-plan.ts";
import type { Model } from "../model/model.ts";
import type { Proxy } from "../model/proxy.ts";
import { secretResource } from "./gateway-tls.ts";
import { createMemo } from "./memo.ts";
import type { Resource } from "./resource.ts";
import { noResources, type ResourceSet, resourceSet } from "./resource-set.ts";

/**
 * Makes the function that gives a sidecar the certificates with which policies let it call. Keys go to nobody whose own
 * certificate has not proven who it is. What is wrong with a Secret is not sent: its connections wait.
 */
export function createClientSecrets() {
  const sets = createMemo<ResourceSet>(isSame);
  return (model: Model, { proven }: Proxy, caller: Caller): ResourceSet => {
    const { policies, credentials } = model;
    if (!proven || credentials === undefined || caller.selected.size === 0) return noResources;
    return sets.get(caller.key, [policies, credentials], () => {
      const resources: Resource[] = [];
      for (const name of secretsFor(policies, caller)) {
        const credential = clientCredential(credentials, caller.namespace, name);
        if (credential === undefined) continue;
        if (clientCredentialFault(credential, true) === undefined)
          resources.push(secretResource(credentialName({ namespace: undefined, name }), credential));
        if (clientCredentialFault(credential, false) === undefined)
          resources.push(secretResource(rootsName({ namespace: undefined, name }), credential));
      }
      return resources.length === 0 ? noResources : resourceSet(resources);
    });
  };
}

function isSame(before: ResourceSet, after: ResourceSet): boolean {
  return (
    before.size === after.size &&
    [...after.values()].every(({ name, version }) => before.get(name)?.version === version)
  );
}
