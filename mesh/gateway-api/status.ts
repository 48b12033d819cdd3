import { isDeepStrictEqual } from "node:util";
import {
  BackendTLSPolicyKind,
  GatewayClassKind,
  GatewayKind,
  GRPCRouteKind,
  HTTPRouteKind,
  TCPRouteKind,
  TLSRouteKind,
} from "../../api/kinds.ts";
import { type Condition, type Kind, type KubeObject, type ResourceRef, refOf } from "../../api/resource.ts";
import type { PatchStatus, Snapshot } from "../../kube/contract.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Mesh } from "../contract.ts";
import { selectsProxy } from "../model/gateway.ts";
import {
  condition,
  controllerName,
  type GatewayStatus,
  passingConditions,
  type WantedCondition,
} from "../translate/gateway-api/conditions.ts";
import { type AddressSource, addressesOf } from "./addresses.ts";
import { supportedFeatures } from "./features.ts";

export interface GatewayStatusOptions {
  readonly mesh: Mesh;
  readonly snapshot: () => Snapshot;
  readonly patchStatus: PatchStatus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reached: AddressSource;
  /** Milliseconds between two rounds of writing. */
  readonly interval?: number;
}

const routeKinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["HTTPRoute", HTTPRouteKind],
  ["GRPCRoute", GRPCRouteKind],
  ["TLSRoute", TLSRouteKind],
  ["TCPRoute", TCPRouteKind],
]);

/** A status as anything but our own parts of it may look. */
type Status = Readonly<Record<string, unknown>> & {
  readonly conditions?: readonly Condition[];
  readonly parents?: readonly Parent[];
  readonly ancestors?: readonly Parent[];
  readonly listeners?: readonly { readonly name: string; readonly conditions?: readonly Condition[] }[];
};

interface Parent {
  readonly controllerName: string;
  readonly parentRef?: object;
  readonly ancestorRef?: object;
  readonly conditions: readonly Condition[];
}

/**
 * Keeps the statuses of the Gateway API's objects, at most once each `interval`, and writes only what differs.
 *
 * @see https://gateway-api.sigs.k8s.io/reference/spec/ GatewayStatus, RouteStatus, PolicyStatus
 * @returns what stops it
 */
export function startGatewayStatus(options: GatewayStatusOptions): () => void {
  const { mesh, snapshot, patchStatus, clock, logger, reached, interval = 500 } = options;
  let cancel: (() => void) | undefined;
  let writing = false;
  let again = false;
  let closed = false;

  function plan(delay = interval): void {
    again = true;
    if (closed || writing) return;
    cancel ??= clock.after(delay, () => {
      cancel = undefined;
      void write();
    });
  }

  /** Writes what `wanted` makes of an object's status, where it differs. @returns whether it failed */
  async function put(
    kind: Kind,
    ref: ResourceRef,
    wanted: (object: KubeObject, status: Status) => Status,
  ): Promise<boolean> {
    const present = snapshot().get(kind, ref.namespace, ref.name);
    if (present === undefined || isDeepStrictEqual(statusOf(present), wanted(present, statusOf(present))))
      return false;
    try {
      await patchStatus(kind, present.metadata, (newest) => wanted(newest, statusOf(newest)));
      return false;
    } catch (error) {
      logger.debug({ err: error, ...ref }, "status was not written");
      return true;
    }
  }

  async function write(): Promise<void> {
    writing = true;
    again = false;
    const now = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const { statuses } = mesh.gatewayApi();
    const results: boolean[] = [];
    for (const object of snapshot().list(GatewayClassKind)) {
      if (object.spec.controllerName !== controllerName) continue;
      const { parametersRef } = object.spec;
      const accepted = [
        parametersRef === undefined
          ? condition("Accepted", true, "Accepted")
          : condition(
              "Accepted",
              false,
              "InvalidParameters",
              `spec.parametersRef: \`${parametersRef.group}/${parametersRef.kind}\` is not known, leave the field out`,
            ),
      ];
      results.push(
        await put(GatewayClassKind, refOf(object), (newest, status) => ({
          ...status,
          conditions: merge(status.conditions, accepted, newest, now),
          supportedFeatures: supportedFeatures.map((name) => ({ name })),
        })),
      );
    }
    for (const wanted of statuses.gateways) {
      const object = snapshot().get(GatewayKind, wanted.gateway.namespace, wanted.gateway.name);
      if (object === undefined) continue;
      const addresses = addressesOf(object, snapshot(), mesh.model(), reached);
      const conditions = [
        wanted.accepted,
        wanted.resolved,
        programmed(wanted, addresses.length > 0),
        ...(wanted.insecure === undefined ? [] : [wanted.insecure]),
      ];
      results.push(
        await put(GatewayKind, wanted.gateway, (newest, status) => ({
          ...status,
          addresses,
          conditions: merge(status.conditions, conditions, newest, now),
          listeners: wanted.listeners.map((listener) => ({
            ...listener,
            conditions: merge(
              status.listeners?.find(({ name }) => name === listener.name)?.conditions,
              listener.conditions,
              newest,
              now,
            ),
          })),
        })),
      );
    }
    const routes = new Map(
      statuses.routes.map((route) => [
        `${route.route.kind}/${route.route.namespace}/${route.route.name}`,
        route,
      ]),
    );
    for (const kind of routeKinds.values()) {
      for (const object of snapshot().list(kind)) {
        const ref = refOf(object);
        const parents = routes.get(`${ref.kind}/${ref.namespace}/${ref.name}`)?.parents ?? [];
        results.push(
          await put(kind, ref, (newest, status) => ({
            ...status,
            parents: mergeParents(
              status.parents,
              parents.map((one) => ({ ref: { parentRef: one.parentRef }, conditions: one.conditions })),
              newest,
              now,
            ),
          })),
        );
      }
    }
    for (const { policy, ancestors } of statuses.policies) {
      results.push(
        await put(BackendTLSPolicyKind, policy, (newest, status) => ({
          ...status,
          ancestors: mergeParents(
            status.ancestors,
            ancestors.map((one) => ({ ref: { ancestorRef: one.ancestorRef }, conditions: one.conditions })),
            newest,
            now,
          ),
        })),
      );
    }
    writing = false;
    if (results.includes(true)) plan(2_000);
    else if (again) plan();
  }

  /** How many of the Gateway's proxies hold all that they should. */
  function programmed({ gateway, accepted }: GatewayStatus, hasAddress: boolean): WantedCondition {
    const say = (holds: boolean, reason: string, message: string) =>
      condition("Programmed", holds, reason, message);
    if (accepted.status !== "True") return say(false, "Invalid", "no listener can be served");
    const model = mesh
      .model()
      .gateways?.find(
        ({ className, namespace, name }) =>
          className !== undefined && namespace === gateway.namespace && name === gateway.name,
      );
    const proxies = mesh
      .connectedProxies()
      .filter(({ proxy }) => proxy.kind === "router" && model !== undefined && selectsProxy(model, proxy));
    const held = proxies.filter(({ synced }) => synced).length;
    const message = `Programmed ${held}/${proxies.length}`;
    if (!hasAddress) return say(false, "AddressNotAssigned", "the Service has no address yet");
    if (proxies.length === 0) return say(false, "Pending", "no proxy is connected yet");
    // One more proxy that comes does not take from those that serve.
    return held > 0 ? say(true, "Programmed", message) : say(false, "Pending", message);
  }

  const unsubscribe = mesh.onStatus(() => plan());
  plan(0);
  return () => {
    closed = true;
    cancel?.();
    unsubscribe();
  };
}

function statusOf(object: KubeObject): Status {
  const { status } = object as KubeObject & { readonly status?: Status };
  return status ?? {};
}

/** Others' conditions stay, ours that passed go; a transition time changes with the status alone. */
function merge(
  present: readonly Condition[] = [],
  wanted: readonly WantedCondition[],
  { metadata }: KubeObject,
  now: string,
): Condition[] {
  const ours = wanted.map((one): Condition => {
    const before = present.find(({ type }) => type === one.type);
    const lastTransitionTime =
      before?.status === one.status && before.lastTransitionTime !== undefined
        ? before.lastTransitionTime
        : now;
    return {
      ...one,
      lastTransitionTime,
      ...(metadata.generation !== undefined && { observedGeneration: metadata.generation }),
    };
  });
  const isOurs = (type: string) =>
    passingConditions.includes(type) || wanted.some((one) => one.type === type);
  return [...present.filter(({ type }) => !isOurs(type)), ...ours];
}

/** Parents that another controller tells of stay as they are. */
function mergeParents(
  present: readonly Parent[] = [],
  wanted: readonly { readonly ref: object; readonly conditions: readonly WantedCondition[] }[],
  object: KubeObject,
  now: string,
): Parent[] {
  const ours = wanted.map(({ ref, conditions }): Parent => {
    const before = present.find(
      ({ controllerName: name, parentRef, ancestorRef }) =>
        name === controllerName && isDeepStrictEqual(parentRef ?? ancestorRef, Object.values(ref)[0]),
    );
    return { ...ref, controllerName, conditions: merge(before?.conditions, conditions, object, now) };
  });
  return [...present.filter((parent) => parent.controllerName !== controllerName), ...ours];
}
