import type {
  ConsistentHash,
  LoadBalancer as WrittenBalancer,
} from "../../api/generated/destinationrules.ts";
import type { LoadBalancer, LocalityBalance, SessionHash, Warmup } from "../model/destination-policy.ts";
import { readDuration } from "./duration.ts";
import { present } from "./present.ts";
import type { Report } from "./problem.ts";

const algorithms = {
  UNSPECIFIED: undefined,
  LEAST_CONN: "least-request",
  LEAST_REQUEST: "least-request",
  RANDOM: "random",
  ROUND_ROBIN: "round-robin",
  PASSTHROUGH: "original-destination",
} as const;

/** Envoy's limit for Maglev's table. */
const largestMaglev = 5_000_011;

/** @see networking.istio.io LoadBalancerSettings */
export function translateLoadBalancer(written: WrittenBalancer, report: Report): LoadBalancer {
  const { simple, consistentHash, localityLbSetting } = written;
  if (written.zoneAwareLbSetting !== undefined)
    report.problem("zoneAwareLbSetting", "is not carried out yet");
  const hash = consistentHash && translateHash(consistentHash, report.at("consistentHash"));
  const warmup = translateWarmup(written, report);
  if (warmup !== undefined && (hash !== undefined || simple === "RANDOM" || simple === "PASSTHROUGH"))
    report.problem(
      written.warmup === undefined ? "warmupDurationSecs" : "warmup",
      "counts for ROUND_ROBIN and LEAST_REQUEST alone",
    );
  return present({
    algorithm: simple && algorithms[simple],
    hash,
    locality: localityLbSetting && translateLocality(localityLbSetting, report.at("localityLbSetting")),
    warmup,
  });
}

/** `warmup`, else the older `warmupDurationSecs`. @see networking.istio.io WarmupConfiguration */
function translateWarmup(
  { warmup, warmupDurationSecs }: WrittenBalancer,
  report: Report,
): Warmup | undefined {
  const duration =
    warmup === undefined
      ? readDuration(warmupDurationSecs, "warmupDurationSecs", report)
      : readDuration(warmup.duration, "duration", report.at("warmup"));
  if (!duration) return undefined;
  return { duration, aggression: warmup?.aggression ?? 1, minimumPercent: warmup?.minimumPercent ?? 10 };
}

/** The older `minimumRingSize` counts where ringHash says none. @see networking.istio.io ConsistentHashLB */
function translateHash(written: ConsistentHash, report: Report): SessionHash | undefined {
  const by = translateSign(written, report);
  if (by === undefined) return undefined;
  const { ringHash, maglev, minimumRingSize } = written;
  if (maglev !== undefined) {
    const size = maglev.tableSize || undefined;
    const usable = size === undefined || (size <= largestMaglev && isPrime(size));
    if (!usable)
      report
        .at("maglev")
        .problem("tableSize", `\`${size}\` is not a prime up to ${largestMaglev}, so 65537 counts`);
    return { by, table: { kind: "maglev", size: usable ? size : undefined } };
  }
  return { by, table: { kind: "ring", size: ringHash?.minimumRingSize || minimumRingSize || undefined } };
}

function translateSign(
  { httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp }: ConsistentHash,
  report: Report,
): SessionHash["by"] | undefined {
  if (httpHeaderName) return { kind: "header", name: httpHeaderName };
  if (httpCookie !== undefined)
    return {
      kind: "cookie",
      name: httpCookie.name,
      path: httpCookie.path || undefined,
      ttl: readDuration(httpCookie.ttl, "ttl", report.at("httpCookie")),
      attributes: (httpCookie.attributes ?? []).map(({ name, value = "" }) => [name, value] as const),
    };
  if (httpQueryParameterName) return { kind: "query-parameter", name: httpQueryParameterName };
  if (useSourceIp) return { kind: "source-ip" };
  report.problem("", "names none of httpHeaderName, httpCookie, httpQueryParameterName, useSourceIp");
  return undefined;
}

/** @see networking.istio.io LocalityLoadBalancerSetting */
function translateLocality(
  {
    enabled,
    distribute = [],
    failover = [],
    failoverPriority = [],
  }: NonNullable<WrittenBalancer["localityLbSetting"]>,
  report: Report,
): LocalityBalance {
  for (const [index, { to = {} }] of distribute.entries()) {
    const sum = Object.values(to).reduce((total, share) => total + share, 0);
    if (sum !== 100)
      report
        .at("distribute", index)
        .problem("to", `shares sum to ${sum}, not 100: each is taken as its share of the sum`);
  }
  if (distribute.length > 0 && failover.length + failoverPriority.length > 0)
    report.problem("distribute", "stands beside failover or failoverPriority, which do not count then");
  return {
    enabled: enabled ?? true,
    distribute: distribute.map(({ from = "", to = {} }) => ({ from, to: Object.entries(to) })),
    failover: failover.map(({ from = "", to = "" }) => ({ from, to })),
    failoverPriority,
  };
}

function isPrime(number: number): boolean {
  if (number < 2) return false;
  for (let divisor = 2; divisor * divisor <= number; divisor += 1) if (number % divisor === 0) return false;
  return true;
}
