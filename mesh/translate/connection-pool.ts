import type {
  OutlierDetection as WrittenOutliers,
  ConnectionPool as WrittenPool,
} from "../../api/generated/destinationrules.ts";
import type { ConnectionPool, OutlierDetection } from "../model/destination-policy.ts";
import { readDuration } from "./duration.ts";
import { present } from "./present.ts";
import type { Report } from "./problem.ts";

/** @see networking.istio.io ConnectionPoolSettings; tcp.idleTimeout counts where http.idleTimeout is unset */
export function translatePool({ tcp, http }: WrittenPool, report: Report): ConnectionPool {
  const ofTcp = report.at("tcp");
  const ofHttp = report.at("http");
  const tcpIdleTimeout = readDuration(tcp?.idleTimeout, "idleTimeout", ofTcp);
  const keepalive = http?.http2KeepAlive;
  const interval = readDuration(keepalive?.interval, "interval", ofHttp.at("http2KeepAlive"));
  const timeout = readDuration(keepalive?.timeout, "timeout", ofHttp.at("http2KeepAlive"));
  return present({
    maxConnections: tcp?.maxConnections,
    connectTimeout: readDuration(tcp?.connectTimeout, "connectTimeout", ofTcp),
    maxConnectionDuration: readDuration(tcp?.maxConnectionDuration, "maxConnectionDuration", ofTcp),
    tcpKeepalive: tcp?.tcpKeepalive && translateKeepalive(tcp.tcpKeepalive, ofTcp.at("tcpKeepalive")),
    tcpIdleTimeout,
    idleTimeout: readDuration(http?.idleTimeout, "idleTimeout", ofHttp) ?? tcpIdleTimeout,
    maxPendingRequests: http?.http1MaxPendingRequests,
    maxRequests: http?.http2MaxRequests,
    maxRequestsPerConnection: http?.maxRequestsPerConnection,
    maxRetries: http?.maxRetries,
    maxConcurrentStreams: http?.maxConcurrentStreams || undefined,
    upgradeToHttp2: http?.h2UpgradePolicy === "UPGRADE" ? true : undefined,
    clientProtocol: http?.useClientProtocol ? true : undefined,
    http2Keepalive: interval ? { interval, timeout: timeout || defaultKeepaliveTimeout } : undefined,
  });
}

const defaultKeepaliveTimeout = 20_000;

function translateKeepalive(
  { probes, time, interval }: NonNullable<NonNullable<WrittenPool["tcp"]>["tcpKeepalive"]>,
  report: Report,
) {
  return present({
    probes: probes || undefined,
    time: readDuration(time, "time", report),
    interval: readDuration(interval, "interval", report),
  });
}

/**
 * The deprecated `consecutiveErrors` counts where its successors say nothing, with its old meaning: 502, 503 and 504
 * alone are errors.
 *
 * @see networking.istio.io OutlierDetection
 */
export function translateOutliers(written: WrittenOutliers, report: Report): OutlierDetection {
  const {
    consecutive5xxErrors,
    consecutiveGatewayErrors,
    consecutiveErrors,
    outlierDetectionHttpErrorCodes,
  } = written;
  const successors = [consecutive5xxErrors, consecutiveGatewayErrors];
  const older = successors.every((value) => (value ?? undefined) === undefined)
    ? consecutiveErrors
    : undefined;
  return present({
    consecutive5xx: consecutive5xxErrors ?? (older === undefined ? undefined : 0),
    consecutiveGatewayErrors: consecutiveGatewayErrors ?? older,
    consecutiveLocalOriginFailures: written.consecutiveLocalOriginFailures ?? undefined,
    splitExternalLocalOriginErrors: written.splitExternalLocalOriginErrors,
    interval: readDuration(written.interval, "interval", report) || undefined,
    baseEjectionTime: readDuration(written.baseEjectionTime, "baseEjectionTime", report) || undefined,
    maxEjectionPercent: written.maxEjectionPercent,
    minHealthPercent: written.minHealthPercent,
    errorCodes: outlierDetectionHttpErrorCodes?.length ? outlierDetectionHttpErrorCodes : undefined,
  });
}
