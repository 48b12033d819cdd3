import type { CanaryAnalysis, CanarySpec } from "../generated/canaries.ts";
import { type Canary, CanaryKind } from "../kinds.ts";
import { hasErrors, type Reading, read } from "../read.ts";
import { type Problem, refOf } from "../resource.ts";
import { below } from "../schema/pointer.ts";
import { checkUrl, type Report, readDuration, readWhole } from "./fields.ts";
import { readGuard } from "./guard.ts";
import { readAlerts, readHooks } from "./hooks.ts";
import { readMetrics } from "./metrics.ts";
import { checkReferences } from "./references.ts";
import { readSequential } from "./sequential.ts";
import { nameAll, readService } from "./service.ts";
import { readShield } from "./shield.ts";
import { readStrategy } from "./strategy.ts";
import { checkTarget } from "./target.ts";
import type { Provider, ReadAnalysis, ReadCanary } from "./types.ts";

/** What the controller is set to, where a Canary does not say. */
export interface CanaryDefaults {
  readonly provider?: Provider;
  /** Whether it may name metric templates and alert providers of other namespaces; it may where this is absent. */
  readonly crossNamespaceRefs?: boolean;
  /** Version of the proxies, e.g. `1.40.0`; not checked where it is not known. */
  readonly envoyVersion?: string;
}

/**
 * Reads a Canary: its schema first, then its meaning. `value` is there unless a problem is an error; problems that are
 * warnings say what is ignored. Never throws.
 */
export function readCanary(found: unknown, defaults: CanaryDefaults = {}): Reading<ReadCanary> {
  const { value: canary, problems } = read(CanaryKind, found);
  if (!canary) return { value: undefined, problems };
  const meant: Problem[] = [];
  const resource = refOf(canary);
  const report: Report = (field, message, severity) => {
    meant.push(severity ? { resource, field, message, severity } : { resource, field, message });
  };
  const value = readSpec(canary, defaults, report);
  return { value: hasErrors(meant) ? undefined : value, problems: [...problems, ...meant] };
}

function readSpec(canary: Canary, defaults: CanaryDefaults, report: Report): ReadCanary | undefined {
  const { spec } = canary;
  const provider = spec.provider ?? defaults.provider ?? "istio";
  const namespace = canary.metadata.namespace ?? "default";
  checkTarget(spec, provider, report);
  if (defaults.crossNamespaceRefs === false) checkReferences(spec, namespace, report);
  if (spec.metricsServer) checkUrl(spec.metricsServer, "/spec/metricsServer", report);
  // Knative's own Services take the traffic there, so nothing need be said about them.
  if (!spec.service && provider !== "knative")
    report("/spec/service", "is required: say at least which `port` clients call");
  const service = readService(spec.service ?? { port: 80 }, spec.targetRef, "/spec/service", report);
  const analysis = readAnalysis(spec, { provider, namespace, envoyVersion: defaults.envoyVersion }, report);
  return {
    object: canary,
    name: canary.metadata.name,
    namespace,
    provider,
    target: spec.targetRef,
    ...(spec.autoscalerRef && spec.targetRef.kind !== "Service" && { autoscaler: spec.autoscalerRef }),
    ...(spec.metricsServer && { metricsServer: spec.metricsServer }),
    progressDeadline:
      1000 *
      readWhole(
        spec.progressDeadlineSeconds,
        "/spec/progressDeadlineSeconds",
        { least: 1, fallback: 600 },
        report,
      ),
    skipAnalysis: spec.skipAnalysis ?? false,
    revertOnDeletion: spec.revertOnDeletion ?? false,
    suspend: spec.suspend ?? false,
    dependsOn: readDependsOn(canary, report),
    rollbackWindow: spec.rollbackWindow?.revisions ?? 0,
    service,
    names: nameAll(spec.targetRef, service, report),
    analysis,
  };
}

/** Two that wait for each other wait for ever: only the shortest such ring, of one, can be seen here. */
function readDependsOn({ metadata, spec }: Canary, report: Report): readonly string[] {
  for (const [index, name] of (spec.dependsOn ?? []).entries()) {
    if (name === metadata.name)
      report(below("/spec/dependsOn", index), `is \`${name}\`, the Canary itself: name another`);
  }
  return spec.dependsOn ?? [];
}

/** What an analysis is read with, beside itself. */
interface Surroundings {
  readonly provider: Provider;
  readonly namespace: string;
  readonly envoyVersion: string | undefined;
}

/** `analysis`, else its old name `canaryAnalysis`; neither is needed where the analysis is skipped. */
function readAnalysis(spec: CanarySpec, surroundings: Surroundings, report: Report): ReadAnalysis {
  const field = spec.analysis || !spec.canaryAnalysis ? "/spec/analysis" : "/spec/canaryAnalysis";
  const analysis = spec.analysis ?? spec.canaryAnalysis;
  if (analysis && spec.canaryAnalysis) {
    report(
      "/spec/canaryAnalysis",
      spec.analysis ? "is ignored: `analysis` counts" : "is the old name of `analysis`",
      "warning",
    );
  }
  if (!analysis && !spec.skipAnalysis) {
    report(
      "/spec/analysis",
      "is required: give `interval`, `threshold` and one of `stepWeight`, `stepWeights`, `steps`, `iterations`",
    );
  }
  if (analysis && !spec.skipAnalysis) checkRequired(analysis, field, report);
  return readAnalysisFields(analysis ?? { stepWeight: 100 }, { ...surroundings, spec, field }, report);
}

function checkRequired(analysis: CanaryAnalysis, field: string, report: Report): void {
  if (analysis.interval === undefined)
    report(below(field, "interval"), "is required: the pace of the steps such as `30s`");
  if (analysis.threshold === undefined)
    report(below(field, "threshold"), "is required: how many failed checks roll back");
}

function readAnalysisFields(
  analysis: CanaryAnalysis,
  {
    field,
    spec,
    provider,
    namespace,
    envoyVersion,
  }: Surroundings & { readonly spec: CanarySpec; readonly field: string },
  report: Report,
): ReadAnalysis {
  const at = (name: keyof CanaryAnalysis) => below(field, name);
  const percent = { least: 0, most: 100 };
  const sequential = analysis.sequential && readSequential(analysis.sequential, at("sequential"), report);
  const { stepWeight, stepWeights, steps, iterations, sessionAffinity, shield } = analysis;
  const planless =
    spec.skipAnalysis === true &&
    [stepWeight, stepWeights, steps, iterations].every((one) => one === undefined);
  if (sessionAffinity && sessionAffinity.cookieName === sessionAffinity.primaryCookieName) {
    report(
      `${at("sessionAffinity")}/primaryCookieName`,
      `is \`${sessionAffinity.cookieName}\`, must differ from \`cookieName\``,
    );
  }
  return {
    interval: readDuration(analysis.interval, at("interval"), { least: 1000, fallback: 60_000 }, report),
    threshold: Math.max(1, readWhole(analysis.threshold, at("threshold"), { fallback: 1 }, report)),
    strategy: readStrategy(planless ? { ...analysis, stepWeight: 100 } : analysis, field, provider, report),
    stepWeightPromotion: readWhole(
      analysis.stepWeightPromotion,
      at("stepWeightPromotion"),
      { ...percent, fallback: 0 },
      report,
    ),
    primaryReadyThreshold: readWhole(
      analysis.primaryReadyThreshold,
      at("primaryReadyThreshold"),
      { ...percent, fallback: 100 },
      report,
    ),
    canaryReadyThreshold: readWhole(
      analysis.canaryReadyThreshold,
      at("canaryReadyThreshold"),
      { ...percent, fallback: 100 },
      report,
    ),
    metrics: readMetrics(analysis.metrics ?? [], at("metrics"), { namespace, sequential }, report),
    alerts: readAlerts(analysis.alerts ?? [], namespace),
    webhooks: readHooks(analysis.webhooks ?? [], at("webhooks"), report),
    ...(sessionAffinity && {
      sessionAffinity: { ...sessionAffinity, maxAge: sessionAffinity.maxAge ?? 86_400 },
    }),
    preview: analysis.preview ?? [],
    guard: readGuard(analysis.guard, at("guard"), report),
    ...(shield && {
      shield: readShield(shield, at("shield"), { spec, analysis, provider, envoyVersion }, report),
    }),
    ...(sequential && { sequential }),
    noData: analysis.noData ?? "hold",
    providerErrors: analysis.providerErrors ?? "hold",
    deadline: readDuration(
      analysis.deadline,
      at("deadline"),
      { least: 1000, fallback: 4 * 3_600_000 },
      report,
    ),
    onInconclusive: analysis.onInconclusive ?? "hold",
    record: analysis.record ?? "always",
  };
}
