import type { TrafficPolicy as WrittenPolicy } from "../../api/generated/destinationrules.ts";
import type { DestinationRule } from "../../api/kinds.ts";
import { type Problem, refOf } from "../../api/resource.ts";
import type { DestinationPolicy, TrafficPolicy } from "../model/destination-policy.ts";
import { qualifiedHost } from "../model/names.ts";
import { translateTls } from "./client-tls.ts";
import { translateOutliers, translatePool } from "./connection-pool.ts";
import { readDuration } from "./duration.ts";
import { readExportTo } from "./export-to.ts";
import { translateLoadBalancer } from "./load-balancer.ts";
import { present } from "./present.ts";
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
  const { host, trafficPolicy, subsets = [], exportTo, workloadSelector } = object.spec;
  const labels = workloadSelector?.matchLabels ?? {};
  const seen = new Set<string>();
  for (const [index, { name }] of subsets.entries()) {
    if (seen.has(name))
      report.at("subsets", index).problem("name", `a subset before has the name \`${name}\` too and counts`);
    seen.add(name);
  }
  const policy: DestinationPolicy = {
    source,
    namespace,
    host: qualifiedHost(host.toLowerCase(), namespace, domain),
    exportTo: readExportTo(exportTo, namespace),
    selector: Object.keys(labels).length === 0 ? undefined : labels,
    ...translatePolicies(trafficPolicy, report.at("trafficPolicy")),
    subsets: subsets
      .map(({ name, labels: ofSubset = {}, trafficPolicy: own }, index) => ({
        name,
        labels: ofSubset,
        ...translatePolicies(own, report.at("subsets", index, "trafficPolicy")),
      }))
      .filter(({ name }, index) => subsets.findIndex((other) => other.name === name) === index),
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

const defaultRetryPercent = 20;
const defaultRetryConcurrency = 3;

function translatePolicy(written: WrittenPolicy, report: Report): TrafficPolicy {
  const { loadBalancer, connectionPool, outlierDetection, tls, proxyProtocol, retryBudget, tunnel } = written;
  return present({
    loadBalancer: loadBalancer && translateLoadBalancer(loadBalancer, report.at("loadBalancer")),
    connectionPool: connectionPool && translatePool(connectionPool, report.at("connectionPool")),
    outlierDetection: outlierDetection && translateOutliers(outlierDetection, report.at("outlierDetection")),
    tls: tls && translateTls(tls, report.at("tls")),
    proxyProtocol: proxyProtocol && (proxyProtocol.version === "V2" ? (2 as const) : (1 as const)),
    retryBudget: retryBudget && {
      percent: retryBudget.percent ?? defaultRetryPercent,
      minConcurrency: retryBudget.minRetryConcurrency ?? defaultRetryConcurrency,
      interval:
        readDuration(retryBudget.budgetInterval, "budgetInterval", report.at("retryBudget")) || undefined,
    },
    tunnel: tunnel && {
      method: tunnel.protocol === "POST" ? ("POST" as const) : ("CONNECT" as const),
      host: tunnel.targetHost,
      port: tunnel.targetPort,
    },
  });
}
