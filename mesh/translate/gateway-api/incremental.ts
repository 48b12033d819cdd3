import { isDeepStrictEqual } from "node:util";
import { GatewayClassKind } from "../../../api/kinds.ts";
import type { Snapshot } from "../../../kube/contract.ts";
import type { Credential } from "../../model/credential.ts";
import type { Service } from "../../model/service.ts";
import type { SharedMap } from "../../model/shared-map.ts";
import { type GatewayApi, gatewayApiKinds, noGatewayApi, translateGatewayApi } from "./translate.ts";

/**
 * Makes the function that translates the Gateway API when something of it has changed: all of it, since its objects
 * point at one another. Equal parts are the same objects as before. Costs nothing where there is no class.
 */
export function createGatewayApi(domain: string) {
  let inputs: readonly unknown[] = [];
  let before = noGatewayApi;

  return (
    snapshot: Snapshot,
    services: SharedMap<Service>,
    credentials: SharedMap<Credential>,
  ): GatewayApi => {
    if (snapshot.list(GatewayClassKind).length === 0) return noGatewayApi;
    const now = [services, credentials, ...gatewayApiKinds.map((kind) => snapshot.list(kind))];
    if (now.length === inputs.length && now.every((input, index) => input === inputs[index])) return before;
    inputs = now;
    const after = translateGatewayApi(snapshot, { domain, services, credentials });
    before = {
      gateways: keep(before.gateways, after.gateways),
      routes: keep(before.routes, after.routes),
      policies: keep(before.policies, after.policies),
      credentials: isDeepStrictEqual(before.credentials, after.credentials)
        ? before.credentials
        : after.credentials,
      statuses: after.statuses,
    };
    return before;
  };
}

/** Items that are deeply equal to one from before are that one. */
function keep<T extends { readonly source: object }>(
  before: readonly T[],
  after: readonly T[],
): readonly T[] {
  return after.map((item) => before.find((old) => isDeepStrictEqual(old, item)) ?? item);
}
