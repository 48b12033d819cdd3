import type { Kind, KubeObject, Problem, ResourceRef } from "../api/resource.ts";
import type { Cut } from "../api/signals.ts";
import type { Informers } from "../kube/contract.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { ResourceType } from "./build/resource.ts";
import type { View } from "./build/view.ts";
import type { Withdrawal } from "./build/withdrawals.ts";
import type { PolicyFiltersOf, Telemetry } from "./build/workload-filters.ts";
import type { MeshSettings, Model } from "./model/model.ts";
import type { Proxy } from "./model/proxy.ts";
import type { GatewayApi } from "./translate/gateway-api/translate.ts";
import type { GrpcService } from "./xds/serve.ts";
import type { TypeState, Wanted } from "./xds/subscription-state.ts";

export interface MeshOptions {
  readonly informers: Informers;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly settings?: Partial<MeshSettings>;
  /** What authorizes at each workload; nothing by default. */
  readonly policyFilters?: PolicyFiltersOf;
  /** Kinds whose changes may change what `policyFilters` answers. */
  readonly policyKinds?: readonly Kind[];
  /** Tells of other changes of what `policyFilters` answers; returns what removes the listener. */
  readonly onPolicyChange?: (listener: () => void) => () => void;
  /** What records requests; `mesh/build/telemetry.ts` by default. */
  readonly telemetry?: Telemetry;
  /** Milliseconds from the ACK of the routes that no longer use a cluster to its removal. */
  readonly removalDelay?: number;
  /** Called when a crowd of proxies has got its first answers: a good moment to collect garbage. */
  readonly onQuiet?: () => void;
}

/** How many proxies hold something, of how many that ask for it. */
export interface Holding {
  readonly held: number;
  readonly of: number;
}

export interface ProxyStatus {
  readonly proxy: Proxy;
  /** Epoch milliseconds. */
  readonly since: number;
  /** Whether it holds all that it asked for, as it is now. */
  readonly synced: boolean;
}

/** A connected proxy, to be looked into: what is asked is worked out then, so ask for few. */
export interface InspectedProxy {
  readonly proxy: Proxy;
  /** Epoch milliseconds. */
  readonly since: number;
  /** Undefined for a type that it did not ask for. */
  stateOf(type: ResourceType): TypeState | undefined;
  /** What it asked for and should hold now. */
  wanted(type: ResourceType): readonly Wanted[];
  /** Its own words on the last answer of this type, where it refused that one. */
  refused(type: ResourceType): string | undefined;
}

/** A proxy has taken what it was sent. */
export interface AckEvent {
  readonly proxy: Proxy;
  readonly type: ResourceType;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The running mesh, as a composition root needs it. */
export interface Mesh {
  /** To be served with others, see `mesh/xds/serve.ts`. */
  readonly services: readonly GrpcService[];
  /** For `createSignals`. */
  readonly cuts: {
    set(cut: Cut): Holding;
    release(id: string): void;
    list(): readonly Cut[];
  };
  connectedProxies(): readonly ProxyStatus[];
  /** The connected proxies, to be looked into. */
  inspect(): readonly InspectedProxy[];
  /** Returns what removes the listener. */
  onAck(listener: (event: AckEvent) => void): () => void;
  /**
   * How many proxies hold what is made of this VirtualService (weights too) or DestinationRule, as it is now; of Istio's
   * Gateway, how many of the proxies that serve it hold all that they should.
   */
  programmed(source: ResourceRef): Holding;
  /** The Gateway API's objects as they are carried out. */
  gatewayApi(): GatewayApi;
  /** Whether {@link problems} and {@link programmed} have seen this object as it is, its metadata and status aside. */
  follows(kind: Kind, object: KubeObject): boolean;
  /** What of the users' objects cannot be carried out, proxies' refusals among it. */
  problems(): readonly Problem[];
  withdrawals(): readonly Withdrawal[];
  /** What a proxy should hold now. */
  viewOf(proxy: Proxy): View;
  model(): Model;
  /** Called when routes, problems or acknowledgements may have changed. Returns what removes the listener. */
  onStatus(listener: () => void): () => void;
  close(): void;
}
