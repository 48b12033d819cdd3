/**
 * What every sidecar's proxy records of its requests: Istio's metrics on stock Envoy.
 *
 * Istio's own filters are not in stock Envoy. The stats access logger yields the same series; a peer's
 * workload is read from its certificate's subject, which the CA alone writes, or from endpoint metadata.
 */
import { create, type JsonObject } from "@bufbuild/protobuf";
import {
  type AccessLog,
  AccessLogSchema,
} from "../../envoy/generated/envoy/config/accesslog/v3/accesslog_pb.js";
import {
  ConfigSchema,
  Config_Histogram_Unit as Unit,
} from "../../envoy/generated/envoy/extensions/access_loggers/stats/v3/stats_pb.js";
import { typed } from "./any.ts";
import { denialLog } from "./denial-log.ts";
import { peerFact } from "./peer-facts.ts";
import { rulesOf } from "./stat-tags.ts";
/** First part of the name of Istio's series in Envoy's own naming; the agent's page strips it. */
export const statsPrefix = "fairlead";
/** Facts of a workload as Istio's labels name them. Absent facts are reported as `unknown`. */
export interface WorkloadFacts {
  readonly workload?: string;
  readonly namespace?: string;
  readonly app?: string;
  readonly version?: string;
  readonly canonicalName?: string;
  /** Istio's default is `latest`. */
  readonly canonicalRevision?: string;
  /** Id of the Kubernetes cluster. */
  readonly cluster?: string;
}

export interface ServiceFacts {
  /** Fully qualified host. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

/** `filter_metadata.istio` of an endpoint: the client's series name the destination by it. */
export function endpointMetadata(facts: WorkloadFacts): JsonObject {
  return {
    workload_name: facts.workload ?? "unknown",
    namespace: facts.namespace ?? "unknown",
    app: facts.app ?? "unknown",
    version: facts.version ?? "unknown",
    canonical_name: facts.canonicalName ?? "unknown",
    canonical_revision: facts.canonicalRevision ?? "latest",
    cluster: facts.cluster ?? "unknown",
  };
}

/** `filter_metadata.istio` of an outbound cluster: the service as Istio's `services` list, and flat for the stats logger. */
export function clusterMetadata({ host, name, namespace }: ServiceFacts): JsonObject {
  return {
    services: [{ host, name, namespace }],
    service_host: host,
    service_name: name,
    service_namespace: namespace,
  };
}

/** Series with `reporter="destination"` and the lines of denied requests, for the listener of one inbound port. */
export function inboundAccessLogs(self: WorkloadFacts, service: ServiceFacts | undefined): AccessLog[] {
  const [app, version] = [peerFact("app"), peerFact("version")];
  return [
    istioStats({
      reporter: "destination",
      source_workload: peerFact("workload"),
      source_canonical_service: app,
      source_canonical_revision: version,
      source_workload_namespace: peerFact("namespace"),
      source_principal: "%DOWNSTREAM_PEER_URI_SAN%",
      source_app: app,
      source_version: version,
      source_cluster: self.cluster ?? "unknown",
      ...destinationLiterals(self),
      destination_principal: "%DOWNSTREAM_LOCAL_URI_SAN%",
      destination_service: service?.host ?? self.canonicalName ?? "unknown",
      destination_service_name: service?.name ?? self.canonicalName ?? "unknown",
      destination_service_namespace: service?.namespace ?? self.namespace ?? "unknown",
      connection_security_policy: peerFact("security"),
    }),
    denialLog(),
  ];
}

/** Series with `reporter="source"`, for the listeners of a workload's outgoing requests. */
export function outboundAccessLogs(self: WorkloadFacts): AccessLog[] {
  const host = (key: string) => `%METADATA(UPSTREAM_HOST:istio:${key})%`;
  const service = (key: string) => `%METADATA(CLUSTER:istio:${key})%`;
  return [
    istioStats({
      reporter: "source",
      source_workload: self.workload ?? "unknown",
      source_canonical_service: self.canonicalName ?? "unknown",
      source_canonical_revision: self.canonicalRevision ?? "latest",
      source_workload_namespace: self.namespace ?? "unknown",
      source_principal: "%UPSTREAM_LOCAL_URI_SAN%",
      source_app: self.app ?? "unknown",
      source_version: self.version ?? "unknown",
      source_cluster: self.cluster ?? "unknown",
      destination_workload: host("workload_name"),
      destination_workload_namespace: host("namespace"),
      destination_principal: "%UPSTREAM_PEER_URI_SAN%",
      destination_app: host("app"),
      destination_version: host("version"),
      destination_canonical_service: host("canonical_name"),
      destination_canonical_revision: host("canonical_revision"),
      destination_cluster: host("cluster"),
      destination_service: service("service_host"),
      destination_service_name: service("service_name"),
      destination_service_namespace: service("service_namespace"),
      connection_security_policy: "unknown",
    }),
  ];
}
function destinationLiterals(self: WorkloadFacts): Record<string, string> {
  return {
    destination_workload: self.workload ?? "unknown",
    destination_workload_namespace: self.namespace ?? "unknown",
    destination_app: self.app ?? "unknown",
    destination_version: self.version ?? "unknown",
    destination_canonical_service: self.canonicalName ?? "unknown",
    destination_canonical_revision: self.canonicalRevision ?? "latest",
    destination_cluster: self.cluster ?? "unknown",
  };
}

/** Istio's four HTTP series with the given tags and those that are the same on both sides. */
function istioStats(ownTags: Record<string, string>): AccessLog {
  const values: Record<string, string> = {
    ...ownTags,
    request_protocol: "%REQ(CONTENT-TYPE)%",
    response_code: "%RESPONSE_CODE%",
    grpc_response_status: "%GRPC_STATUS_NUMBER%",
    response_flags: "%RESPONSE_FLAGS%",
  };
  const tags = Object.entries(values).map(([name, valueFormat]) => ({
    name,
    valueFormat,
    ...rulesOf(name, valueFormat),
  }));
  const histogram = (name: string, unit: Unit, valueFormat: string) => ({
    stat: { name, tags },
    unit,
    valueFormat,
  });
  return create(AccessLogSchema, {
    name: "envoy.access_loggers.stats",
    configType: {
      case: "typedConfig",
      value: typed(ConfigSchema, {
        statsScope: { prefix: statsPrefix },
        counters: [{ stat: { name: "istio_requests_total", tags }, valueFixed: 1n }],
        histograms: [
          histogram("istio_request_duration_milliseconds", Unit.Milliseconds, "%DURATION%"),
          histogram("istio_request_bytes", Unit.Bytes, "%DOWNSTREAM_WIRE_BYTES_RECEIVED%"),
          histogram("istio_response_bytes", Unit.Bytes, "%DOWNSTREAM_WIRE_BYTES_SENT%"),
        ],
      }),
    },
  });
}
