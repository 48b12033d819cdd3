/** What the debug pages say, as their readers (`fairlead proxy`) take it. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { ResourceType } from "../build/resource.ts";
import type { TypeState } from "../xds/subscription-state.ts";

/** One proxy of `/debug/syncz`. */
export interface SyncStatus {
  /** `<namespace>/<pod>` */
  readonly proxy: string;
  /** Node id. */
  readonly id: string;
  readonly kind: "sidecar" | "router";
  /** RFC 3339: when its stream was opened. */
  readonly since: string;
  /** Whether it has acknowledged all it asked for. */
  readonly synced: boolean;
  /** The types that it asked for. */
  readonly types: Readonly<Partial<Record<ResourceType, TypeState & { readonly refused?: string }>>>;
}

/** One resource that a proxy should hold. */
export interface DumpedResource {
  readonly name: string;
  readonly version: string;
  /** Whether the proxy has acknowledged it in this version. */
  readonly held: boolean;
  /** Envoy's own JSON with `@type`; keys and passwords read `[redacted]`. */
  readonly resource: JsonValue;
}

/** `/debug/config_dump` of one proxy. */
export interface ProxyDump extends Pick<SyncStatus, "proxy" | "id" | "since"> {
  readonly resources: Readonly<Partial<Record<ResourceType, readonly DumpedResource[]>>>;
}

/** One cluster, or one port of a service, of `/debug/endpointz`. */
export interface EndpointsOf {
  readonly name: string;
  readonly endpoints: readonly {
    readonly address: string;
    readonly port: number;
    readonly weight: number;
  }[];
}
