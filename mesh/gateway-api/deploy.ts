import { DeploymentKind, ServiceAccountKind, ServiceKind } from "../../api/core.ts";
import { GatewayClassKind, GatewayKind } from "../../api/kinds.ts";
import { type Kind, type KubeObject, refOf } from "../../api/resource.ts";
import type { Client, Snapshot } from "../../kube/contract.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Mesh } from "../contract.ts";
import { controllerName } from "../translate/gateway-api/conditions.ts";
import { type GatewayDeploymentConfig, gatewayObjects } from "./deployment.ts";

/** Name of the class that is ours. */
export const gatewayClassName = "fairlead";

export interface DeployGatewaysOptions {
  readonly mesh: Pick<Mesh, "gatewayApi" | "onStatus">;
  readonly snapshot: () => Snapshot;
  readonly client: Pick<Client, "patch">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly config: GatewayDeploymentConfig;
  /** Milliseconds between two rounds. */
  readonly interval?: number;
}

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["ServiceAccount", ServiceAccountKind],
  ["Service", ServiceKind],
  ["Deployment", DeploymentKind],
]);

/**
 * Keeps what is deployed for Gateways of our class, and the class itself. An object is applied (server-side) when what we
 * want of it differs from what we last applied, and once after each start.
 *
 * @returns what stops it
 */
export function deployGateways(options: DeployGatewaysOptions): () => void {
  const { mesh, snapshot, client, clock, logger, config, interval = 300 } = options;
  /** Text of what was applied, by object. */
  const applied = new Map<string, string>();
  let cancel: (() => void) | undefined;
  let busy = false;
  let again = false;
  let closed = false;

  function plan(delay = interval): void {
    again = true;
    if (closed || busy) return;
    cancel ??= clock.after(delay, () => {
      cancel = undefined;
      void round();
    });
  }

  async function round(): Promise<void> {
    busy = true;
    again = false;
    let failed = false;
    for (const object of wantedObjects(mesh, snapshot(), config)) {
      const { kind, metadata } = object;
      const key = `${kind}/${metadata.namespace ?? ""}/${metadata.name}`;
      const text = JSON.stringify(object);
      if (applied.get(key) === text) continue;
      try {
        const of = kind === "GatewayClass" ? GatewayClassKind : kinds.get(kind);
        if (of === undefined) continue;
        await client.patch(of, metadata.namespace, metadata.name, {
          kind: "apply",
          body: object,
          force: true,
        });
        applied.set(key, text);
      } catch (error) {
        failed = true;
        logger.warn({ err: error, ...refOf(object) }, "a gateway's object was not applied");
      }
    }
    busy = false;
    if (failed) plan(5_000);
    else if (again) plan();
  }

  const unsubscribe = mesh.onStatus(() => plan());
  plan(0);
  return () => {
    closed = true;
    cancel?.();
    unsubscribe();
  };
}

function wantedObjects(
  mesh: DeployGatewaysOptions["mesh"],
  snapshot: Snapshot,
  config: GatewayDeploymentConfig,
): KubeObject[] {
  const gatewayClass = {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "GatewayClass",
    metadata: { name: gatewayClassName },
    spec: { controllerName, description: "Envoy proxies of fairlead's mesh" },
  };
  const gateways = mesh.gatewayApi().statuses.gateways.flatMap(({ gateway, accepted }) => {
    if (accepted.status !== "True") return [];
    const object = snapshot.get(GatewayKind, gateway.namespace, gateway.name);
    return object === undefined || object.metadata.deletionTimestamp !== undefined
      ? []
      : gatewayObjects(object, config);
  });
  return [gatewayClass, ...gateways];
}
