/** A Canary as the rooms work with it: every default filled in, durations in milliseconds, one union for the strategy. */
import type { Fraction, Milliseconds, Percent } from "../../lib/units.ts";
import type { Shield } from "../annotations.ts";
import type {
  AnalysisMatch,
  AutoscalerRef,
  CanaryService,
  CanarySpec,
  Counts,
  SessionAffinity,
  TargetRef,
  ThresholdRange,
} from "../generated/canaries.ts";
import type { Hook } from "../hooks.ts";
import type { Canary } from "../kinds.ts";

export type Provider = NonNullable<CanarySpec["provider"]>;

export interface ReadCanary {
  readonly object: Canary;
  readonly name: string;
  readonly namespace: string;
  readonly provider: Provider;
  readonly target: TargetRef;
  readonly autoscaler?: AutoscalerRef;
  /** URL of the Prometheus that answers the built-in checks; absent: the mesh's own signals do. */
  readonly metricsServer?: string;
  readonly progressDeadline: Milliseconds;
  readonly skipAnalysis: boolean;
  readonly revertOnDeletion: boolean;
  readonly suspend: boolean;
  /** Names of Canaries of the same namespace that must be done before a run begins. */
  readonly dependsOn: readonly string[];
  /** How many of the last promoted revisions are promoted again without an analysis; 0: none. */
  readonly rollbackWindow: number;
  readonly service: ReadService;
  /** Names of what is generated. */
  readonly names: CanaryNames;
  readonly analysis: ReadAnalysis;
}

export interface CanaryNames {
  /** Workload that serves the promoted version: `<target>-primary`. */
  readonly primaryWorkload: string;
  /** Workload under release: the target itself. */
  readonly canaryWorkload: string;
  /** Service that clients call, also the name of the route. */
  readonly apexService: string;
  readonly primaryService: string;
  readonly canaryService: string;
}

/** `spec.service` with its defaults; the parts that go into routes as they are stay as the user wrote them. */
export type ReadService = Omit<
  CanaryService,
  | "name"
  | "port"
  | "portName"
  | "targetPort"
  | "portDiscovery"
  | "headless"
  | "delegation"
  | "hosts"
  | "gateways"
> & {
  readonly name: string;
  readonly port: number;
  readonly portName: string;
  readonly targetPort: number | string;
  readonly portDiscovery: boolean;
  readonly headless: boolean;
  readonly delegation: boolean;
  readonly hosts: readonly string[];
  readonly gateways: readonly string[];
};

export interface ReadAnalysis {
  readonly interval: Milliseconds;
  /** Failed checks at which the canary is rolled back; at least 1. */
  readonly threshold: number;
  readonly strategy: Strategy;
  /** Percent given back to the primary per tick of the promotion; 0: all at once. */
  readonly stepWeightPromotion: Percent;
  readonly primaryReadyThreshold: Percent;
  readonly canaryReadyThreshold: Percent;
  readonly metrics: readonly ReadMetric[];
  readonly alerts: readonly ReadAlert[];
  readonly webhooks: readonly ReadHook[];
  readonly sessionAffinity?: SessionAffinity & { readonly maxAge: number };
  /** Not empty: these requests reach the canary at any weight, from the first step on. */
  readonly preview: readonly AnalysisMatch[];
  readonly guard: ReadGuard;
  /** Absent: a canary's failures reach the users. */
  readonly shield?: Shield;
  /** Absent: steps follow Flagger's rule. */
  readonly sequential?: ReadSequential;
  readonly noData: "hold" | "fail";
  readonly providerErrors: "hold" | "fail";
  readonly deadline: Milliseconds;
  readonly onInconclusive: "hold" | "rollback" | "promote";
  /** Which runs' windows are kept for replay and report. */
  readonly record: "always" | "onFailure" | "never";
}

export type Strategy =
  | {
      readonly kind: "weights";
      /** Weights of the canary in rising order; the last is that before promotion. Never empty. */
      readonly steps: readonly Percent[];
      /** What the user gave, for people's texts: `stepWeight`, else the steps are `stepWeights`. */
      readonly stepWeight?: Percent;
      readonly maxWeight: Percent;
      /** What holds the run at a weight. */
      readonly holds: ReadonlyMap<Percent, StepHold>;
      readonly mirror?: Mirror;
      /** Not empty: only these requests take part in the weights. */
      readonly match: readonly AnalysisMatch[];
    }
  | { readonly kind: "ab-testing"; readonly iterations: number; readonly match: readonly AnalysisMatch[] }
  | { readonly kind: "blue-green"; readonly iterations: number; readonly mirror?: Mirror };

/** How long a weight is held at least, and whether a person must let it go on. */
export interface StepHold {
  readonly duration: Milliseconds;
  readonly pause: boolean;
}

export interface Mirror {
  readonly weight: Percent;
}

export type ReadMetric = MetricBase &
  (
    | { readonly kind: "request-success-rate" }
    | { readonly kind: "request-duration" }
    /** `spec.analysis.metrics[].query`, PromQL as a Go template. */
    | { readonly kind: "query"; readonly query: string }
    | { readonly kind: "template"; readonly template: { readonly namespace: string; readonly name: string } }
  );

interface MetricBase {
  readonly name: string;
  /** Window of the query. */
  readonly interval: Milliseconds;
  /** Inclusive bounds; the deprecated `threshold` is already one of them. Empty: any value passes. */
  readonly range: ThresholdRange;
  readonly variables: Readonly<Record<string, string>>;
  readonly counts?: Counts;
  /** With the defaults of this metric; absent where `spec.analysis.sequential` is. */
  readonly sequential?: ReadMetricSequential;
}

export interface ReadAlert {
  readonly name: string;
  readonly severity: "info" | "warn" | "error";
  readonly provider: { readonly namespace: string; readonly name: string };
}

export interface ReadHook extends Hook {
  readonly muteAlert: boolean;
}

/** All false: Flagger's rule and nothing else. */
export interface ReadGuard {
  readonly tripWire: boolean;
  readonly errors: boolean;
  readonly latency: boolean;
  readonly alpha: Fraction;
  readonly warmup: Milliseconds;
}

export interface ReadSequential {
  readonly compare: "primary" | "threshold" | "both";
  readonly alpha: Fraction;
  readonly beta: Fraction;
  /** Percentage points that must be ruled out before promotion. */
  readonly mde: Percent;
  /** Percent more than the primary that is tolerated. */
  readonly relative: Percent;
  /** Percentage points more that are tolerated besides. */
  readonly absolute: Percent;
  readonly poll: Milliseconds;
  readonly freeRequests: number;
}

export interface ReadMetricSequential {
  readonly relative: Percent;
  readonly absolute: Percent;
  readonly mde: Percent;
  readonly percentiles: readonly Percent[];
  readonly warmup: Milliseconds;
  /** How a metric without counts is compared with the primary; absent: it is not. */
  readonly test?: "sign" | "mann-whitney";
}
