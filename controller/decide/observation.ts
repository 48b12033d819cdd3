import type { Harm } from "../../analysis/analyst.ts";
import type { Check } from "../../analysis/checks/types.ts";
import type { Judgement } from "../../analysis/judge/types.ts";
import type { RollbackMark } from "../../api/annotations.ts";
import type { HookAnswer, HookType } from "../../api/hooks.ts";
import type { Milliseconds, Percent } from "../../lib/units.ts";
import type { Revision, TrackedConfigs } from "../revision.ts";
import type { PodsObservation } from "../targets/pods.ts";
import type { Readiness } from "../targets/readiness.ts";
import type { RunRescues } from "./state.ts";

/** Everything that a decision depends on, at one moment. */
export interface Observation {
  /** Epoch milliseconds. */
  readonly now: number;
  /** A fresh name for a run, in case one begins. */
  readonly freshRun: string;
  readonly target: TargetObservation;
  readonly primary: PrimaryObservation;
  readonly route: RouteObservation;
  /** The provider whose objects stand although the Canary names another now, once they are known. */
  readonly formerProvider?: string;
  /** Whether Services, rules and route are as the Canary wants them. */
  readonly objects: { readonly drifted: boolean; readonly apexSwitched: boolean };
  /**
   * Until every proxy has held weight 0 of the canary long enough for its pods to go, as far as that can be foretold;
   * 0: they have.
   */
  readonly drainsIn: Milliseconds;
  /** What hooks, checks and the judge said, where a tick asked them. */
  readonly measurement?: Measurement;
  /** The guard's verdict about the run under way. */
  readonly harm?: Harm;
  /** What a shield has done, of whichever run. */
  readonly rescues?: RunRescues;
  readonly action?: Action;
  readonly gates: HandGates;
  /** A person holds the weight where it is. */
  readonly paused: boolean;
  readonly suspended: boolean;
  /** Why a new run has to wait for others. */
  readonly queued?: string;
  /** MetricTemplates that the analysis names and that do not exist, each with its field; none: absent. */
  readonly missingTemplates?: string;
  /** Whether something other than us keeps the primary's number of pods. */
  readonly autoscaled: boolean;
  /** How many pods that may give the primary. */
  readonly mostPrimaryPods?: number;
  readonly deleted: boolean;
}

export type TargetObservation =
  | { readonly kind: "missing"; readonly message: string }
  /** It exists but cannot be driven: no selector label, a config is missing. */
  | { readonly kind: "unusable"; readonly message: string; readonly replicas: number }
  | {
      readonly kind: "present";
      readonly revision: Revision;
      readonly fence: string;
      readonly trackedConfigs: TrackedConfigs;
      readonly replicas: number;
      /** What it gets when a run begins. */
      readonly replicasForRun: number;
      readonly readiness: Readiness;
      readonly pods: PodsObservation;
      /** Its template is what the primary runs, whoever made the primary. */
      readonly sameAsPrimary: boolean;
      /** This revision was promoted lately enough to go straight through. */
      readonly knownGood: boolean;
    };

export type PrimaryObservation =
  | { readonly kind: "missing" }
  | {
      readonly kind: "present";
      /** Whose template it has; undefined where that is none that is stored. */
      readonly revision: Revision | undefined;
      readonly readiness: Readiness;
      readonly replicas: number;
      /** The mark of a promotion that was taken back. */
      readonly restored?: RollbackMark;
    };

export type RouteObservation =
  /** Not made yet. */
  | { readonly kind: "missing" }
  /** It exists and cannot carry the weights. */
  | { readonly kind: "unusable"; readonly message: string }
  | {
      readonly kind: "present";
      /** The canary's highest share in any rule. */
      readonly canaryWeight: Percent;
      /** Whether the canary gets copies of requests. */
      readonly mirrored: boolean;
      /** Weights of every rule sum to 100, and those that should agree do. */
      readonly consistent: boolean;
      /** It carries what the state asks for. */
      readonly asWanted: boolean;
      /** Id of the run it is marked with. */
      readonly run?: string;
      readonly rollback?: RollbackMark;
    };

/** What one asked hook answered. */
export interface HookOutcome {
  readonly name: string;
  readonly type: HookType;
  readonly muteAlert: boolean;
  readonly answer: HookAnswer;
}

/** The answers of one tick, and what they were asked about: stale ones are dropped. */
export interface Measurement {
  readonly about: MeasuredMoment;
  readonly hooks: readonly HookOutcome[];
  readonly checks: readonly Check[];
  readonly judgement?: Judgement;
  /** The judge's state to store. */
  readonly judge?: string;
}

/** Names one moment of one canary: an answer counts for it only, and once. */
export interface MeasuredMoment {
  readonly phase: string;
  readonly run?: string;
  readonly revision?: Revision;
  readonly weight?: Percent;
  readonly tickedAt?: number;
}

/** Gates that a person has set, by the name of a hook or by its type (`confirm-rollout` …). */
export type HandGates = ReadonlyMap<string, "open" | "closed">;

/** What a person asked by annotation. */
export interface Action {
  readonly kind: "promote" | "abort" | "pause" | "resume" | "retry" | "skip" | "set-weight" | "unknown";
  readonly text: string;
  /** Of set-weight. */
  readonly weight?: Percent;
  /** Revision it is for; any where absent. */
  readonly revision?: string;
  readonly by?: string;
  readonly reason?: string;
}

/** Whether nothing reaches the canary by this route. */
export function isIdle(route: Extract<RouteObservation, { kind: "present" }>): boolean {
  return route.canaryWeight === 0 && route.consistent && !route.mirrored;
}
