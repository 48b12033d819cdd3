import type {
  OutlierDetection as WrittenOutliers,
  TrafficPolicy as WrittenPolicy,
  ConnectionPool as WrittenPool,
  ClientTls as WrittenTls,
} from "../../api/generated/destinationrules.ts";
import type { DestinationRule } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type {
  ClientTls,
  ConnectionPool,
  DestinationPolicy,
  OutlierDetection,
  TrafficPolicy,
} from "../model/destination-policy.ts";
import { qualifiedHost } from "../model/names.ts";
import { readDuration } from "./duration.ts";
import { type Report, reportOn } from "./problem.ts";

export interface TranslatedPolicy {
  readonly policy: DestinationPolicy;
  readonly problems: readonly Problem[];
}

/** A DestinationRule by itself. @see networking.istio.io DestinationRule */
export function translateDestinationRule(object: DestinationRule, domain: string): TranslatedPolicy {
  const problems: Problem[] = [];
  const source = refOf(object);
  const report = reportOn(source, problems).at("spec");
  const { namespace = "default", creationTimestamp = "" } = object.metadata;
  const { host, trafficPolicy, subsets = [] } = object.spec;
  const policy: DestinationPolicy = {
    source,
    namespace,
    host: qualifiedHost(host.toLowerCase(), namespace, domain),
    ...translatePolicies(trafficPolicy, report.at("trafficPolicy")),
    subsets: subsets.map(({ name, labels = {}, trafficPolicy: own }, index) => ({
      name,
      labels,
      ...translatePolicies(own, report.at("subsets", index, "trafficPolicy")),
    })),
    createdAt: creationTimestamp,
  };
  return { policy, problems };
}

function translatePolicies(written: WrittenPolicy | undefined, report: Report) {
  const byPort = new Map<number, TrafficPolicy>();
  for (const [index, settings] of (written?.portLevelSettings ?? []).entries()) {
    const number = settings.port?.number;
    if (number === undefined) report.at("portLevelSettings", index).problem("port", "names no number");
    else byPort.set(number, translatePolicy(settings, report.at("portLevelSettings", index)));
  }
  return { policy: translatePolicy(written ?? {}, report), byPort };
}

function translatePolicy(
  { loadBalancer, connectionPool, outlierDetection, tls }: WrittenPolicy,
  report: Report,
): TrafficPolicy {
  const simple = loadBalancer?.simple;
  for (const field of ["consistentHash", "localityLbSetting", "warmup", "warmupDurationSecs"] as const) {
    if (loadBalancer?.[field] !== undefined)
      report.at("loadBalancer").problem(field, "is not carried out yet");
  }
  if (simple === "PASSTHROUGH")
    report.at("loadBalancer").problem("simple", "PASSTHROUGH is not carried out yet");
  const readTls = tls && translateTls(tls, report.at("tls"));
  return {
    ...(simple === "ROUND_ROBIN" && { loadBalancer: "round-robin" as const }),
    ...(simple === "RANDOM" && { loadBalancer: "random" as const }),
    ...((simple === "LEAST_REQUEST" || simple === "LEAST_CONN") && {
      loadBalancer: "least-request" as const,
    }),
    ...(connectionPool && { connectionPool: translatePool(connectionPool, report.at("connectionPool")) }),
    ...(outlierDetection && {
      outlierDetection: translateOutliers(outlierDetection, report.at("outlierDetection")),
    }),
    ...(readTls && { tls: readTls }),
  };
}

/** @see networking.istio.io ConnectionPoolSettings; tcp.idleTimeout counts where http.idleTimeout is unset */
function translatePool({ tcp, http }: WrittenPool, report: Report): ConnectionPool {
  return present({
    maxConnections: tcp?.maxConnections,
    connectTimeout: readDuration(tcp?.connectTimeout, "connectTimeout", report.at("tcp")),
    idleTimeout: readDuration(http?.idleTimeout ?? tcp?.idleTimeout, "idleTimeout", report.at("http")),
    maxPendingRequests: http?.http1MaxPendingRequests,
    maxRequests: http?.http2MaxRequests,
    maxRequestsPerConnection: http?.maxRequestsPerConnection,
    maxRetries: http?.maxRetries,
    maxConcurrentStreams: http?.maxConcurrentStreams,
    upgradeToHttp2: http?.h2UpgradePolicy === "UPGRADE" ? true : undefined,
  });
}

/** @see networking.istio.io OutlierDetection; the deprecated consecutiveErrors is ignored, as Istio does */
function translateOutliers(written: WrittenOutliers, report: Report): OutlierDetection {
  if (written.consecutiveErrors !== undefined)
    report.problem("consecutiveErrors", "is deprecated and ignored, use consecutive5xxErrors");
  return present({
    consecutive5xx: written.consecutive5xxErrors ?? undefined,
    consecutiveGatewayErrors: written.consecutiveGatewayErrors ?? undefined,
    consecutiveLocalOriginFailures: written.consecutiveLocalOriginFailures ?? undefined,
    splitExternalLocalOriginErrors: written.splitExternalLocalOriginErrors,
    interval: readDuration(written.interval, "interval", report),
    baseEjectionTime: readDuration(written.baseEjectionTime, "baseEjectionTime", report),
    maxEjectionPercent: written.maxEjectionPercent,
    minHealthPercent: written.minHealthPercent,
  });
}

function translateTls(
  { mode, sni, subjectAltNames, caCertificates }: WrittenTls,
  report: Report,
): ClientTls | undefined {
  const names = { ...(sni && { serverName: sni }), ...(subjectAltNames?.length && { subjectAltNames }) };
  switch (mode) {
    case "ISTIO_MUTUAL":
      return { mode: "istio-mutual", ...names };
    case "SIMPLE":
      return { mode: "simple", ...names, ...(caCertificates && { caCertificates }) };
    case "MUTUAL":
      report.problem("mode", "MUTUAL is not carried out yet, use ISTIO_MUTUAL");
      return undefined;
    default:
      return { mode: "disable" };
  }
}

/** Without the fields that are undefined. */
function present<T extends object>(fields: T): { [Field in keyof T]?: Exclude<T[Field], undefined> } {
  const kept = {};
  for (const [field, value] of Object.entries(fields)) {
    if (value !== undefined) Object.assign(kept, { [field]: value });
  }
  return kept;
}
