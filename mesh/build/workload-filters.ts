import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AccessLog } from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import type { Filter } from "../../envoy/generated/envoy/config/listener/v3/listener_components_pb.js";
import type {
  HttpConnectionManager_TracingSchema,
  HttpFilter,
} from "../../envoy/generated/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { PathNormalization } from "../../policy/path/normalize.ts";
import type { Proxy } from "../model/proxy.ts";
import type { WorkloadFacts } from "../model/workload.ts";

/**
 * The filters that authenticate and authorize what comes into a workload, in Istio's order (jwt_authn, then rbac AUDIT,
 * DENY, ALLOW). Equal arrays while nothing changes: the listeners are rebuilt when they differ by identity.
 */
export interface PolicyFilters {
  readonly http: readonly HttpFilter[];
  readonly network: readonly Filter[];
  /** How paths of requests are normalised before policies see them; BASE where it is not given. */
  readonly paths?: PathNormalization;
}

export const noPolicies: PolicyFilters = { http: [], network: [] };

/** The policy room's answer for one proxy; called at each change of the listeners' inputs. */
export type PolicyFiltersOf = (proxy: Proxy) => PolicyFilters;

export interface ServiceIdentity {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** What records requests; `mesh/build/telemetry.ts` has the real one. */
export interface Telemetry {
  readonly inboundAccessLogs: (self: WorkloadFacts, service: ServiceIdentity | undefined) => AccessLog[];
  readonly outboundAccessLogs: (self: WorkloadFacts) => AccessLog[];
  readonly upstreamAttemptLogs: (proxy: Pick<Proxy, "knowsShields">) => AccessLog[];
  /** How requests are traced; absent: they are not. */
  readonly tracing?: MessageInitShape<typeof HttpConnectionManager_TracingSchema>;
}
