import type { Check } from "../analysis/checks/types.ts";
import type { Judgement } from "../analysis/judge/types.ts";
import type { Rescues } from "../analysis/series/ledger.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { Registry } from "../lib/metrics.ts";
import type { RunState, State } from "./decide/state.ts";
import type { Traffic } from "./decide/traffic.ts";

/** The controller's own numbers: Flagger's names and labels, and what they leave out. */
export interface ControllerMetrics {
  state(canary: ReadCanary, state: State, traffic: Pick<Traffic, "canaryWeight">): void;
  /** Milliseconds that one tick's hooks and checks took. */
  ticked(canary: ReadCanary, duration: number): void;
  checks(canary: ReadCanary, checks: readonly Check[]): void;
  /** What the judge said, for each of its tests. */
  judged(canary: ReadCanary, judgement: Judgement): void;
  ended(canary: ReadCanary, run: RunState, outcome: "promoted" | "rolled-back", now: number): void;
  /** What a shield did since this was told last. */
  shielded(canary: ReadCanary, rescues: Rescues): void;
  /** Milliseconds from the verdict to the stored weight 0. */
  rolledBack(canary: ReadCanary, latency: number): void;
  /** Takes a deleted canary's series away. */
  forget(namespace: string, target: string): void;
  total(namespace: string, canaries: number): void;
  info(version: string, meshProvider: string): void;
}

export function createControllerMetrics(registry: Registry): ControllerMetrics {
  const status = registry.gauge(
    "flagger_canary_status",
    "Last known canary analysis status: 0 running, 1 done, 2 failed",
  );
  const phase = registry.gauge("fairlead_canary_phase", "1 for the phase that a canary is in");
  const weight = registry.gauge(
    "flagger_canary_weight",
    "The virtual service destination weight current value",
  );
  const metric = registry.gauge("flagger_canary_metric_analysis", "Last canary analysis result per metric");
  const harm = registry.gauge(
    "fairlead_analysis_harm_nats",
    "Evidence that the canary is worse than tolerated, per test; test=all: of all, which rolls back at its limit",
  );
  const safe = registry.gauge(
    "fairlead_analysis_safe_nats",
    "Evidence that the canary is not worse by mde, per test",
  );
  const dispersion = registry.gauge(
    "fairlead_analysis_dispersion",
    "Bad requests of the primary that come as one incident, per test",
  );
  const total = registry.gauge("flagger_canary_total", "Total number of canary objects");
  const successes = registry.counter(
    "flagger_canary_successes_total",
    "Total number of successful canary runs",
  );
  const failures = registry.counter("flagger_canary_failures_total", "Total number of failed canary runs");
  const rescued = registry.counter(
    "fairlead_shield_rescued_total",
    "Failed attempts at a shielded canary whose users the primary answered",
  );
  const notRescued = registry.counter(
    "fairlead_shield_not_rescued_total",
    "Failed attempts at a shielded canary whose users met a failure all the same",
  );
  const duration = registry.histogram(
    "fairlead_run_duration_seconds",
    "Seconds from a run's begin to its end",
    [10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400],
  );
  const latency = registry.histogram(
    "fairlead_rollback_latency_seconds",
    "Seconds from a verdict to the stored weight 0",
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );

  const info = registry.gauge("flagger_info", "Version and mesh provider information");
  const tick = registry.histogram(
    "flagger_canary_duration_seconds",
    "Seconds spent performing canary analysis",
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  );

  /** The phase that was told last, by namespace and target. */
  const phases = new Map<string, string>();

  return {
    state(canary, state, { canaryWeight }) {
      const { namespace, names } = canary;
      const name = names.canaryWorkload;
      status.set({ name, namespace }, statusNumber(state));
      const labels = { namespace, canary: name };
      const before = phases.get(`${namespace}/${name}`);
      if (before !== undefined && before !== state.phase) phase.set({ ...labels, phase: before }, 0);
      phases.set(`${namespace}/${name}`, state.phase);
      phase.set({ ...labels, phase: state.phase }, 1);
      weight.set({ workload: name, namespace }, canaryWeight);
      weight.set({ workload: names.primaryWorkload, namespace }, 100 - canaryWeight);
    },
    checks({ namespace, names }, checks) {
      for (const { name, value } of checks) {
        if (value === undefined || !Number.isFinite(value)) continue;
        metric.set({ name: names.canaryWorkload, namespace, metric: name }, value);
      }
    },
    judged({ namespace, names }, judgement) {
      const labels = { namespace, canary: names.canaryWorkload };
      harm.set({ ...labels, test: "all" }, judgement.harm);
      for (const test of judgement.tests) {
        harm.set({ ...labels, test: test.name }, test.harm);
        if (test.safe !== undefined) safe.set({ ...labels, test: test.name }, test.safe);
        dispersion.set({ ...labels, test: test.name }, test.dispersion);
      }
    },
    ended(canary, run, outcome, now) {
      const labels = {
        name: canary.names.canaryWorkload,
        namespace: canary.namespace,
        deployment_strategy: strategyName(canary),
        analysis_status: canary.skipAnalysis ? "skipped" : "completed",
      };
      (outcome === "promoted" ? successes : failures).add(labels);
      duration.observe(
        { name: canary.names.canaryWorkload, namespace: canary.namespace, outcome },
        (now - run.startedAt) / 1000,
      );
    },
    shielded({ namespace, names }, rescues) {
      const labels = { name: names.canaryWorkload, namespace };
      rescued.add(labels, rescues.rescued);
      notRescued.add(labels, rescues.notRescued);
    },
    rolledBack({ namespace, names }, milliseconds) {
      latency.observe({ name: names.canaryWorkload, namespace }, milliseconds / 1000);
    },
    forget(namespace, target) {
      phases.delete(`${namespace}/${target}`);
      registry.remove({ namespace, name: target });
      registry.remove({ namespace, canary: target });
      registry.remove({ namespace, workload: target });
      registry.remove({ namespace, workload: `${target}-primary` });
    },
    ticked({ namespace, names }, milliseconds) {
      tick.observe({ name: names.canaryWorkload, namespace }, milliseconds / 1000);
    },
    total: (namespace, canaries) => total.set({ namespace }, canaries),
    info: (version, meshProvider) => info.set({ version, mesh_provider: meshProvider }, 1),
  };
}

/** Flagger's numbers, but Waiting, Promoting and the like count as running. */
function statusNumber({ phase }: State): number {
  switch (phase) {
    case "Failed":
      return 2;
    case "Initialized":
    case "Succeeded":
    case "Terminating":
      return 1;
    case "Initializing":
    case "Waiting":
    case "Progressing":
    case "WaitingPromotion":
    case "Promoting":
    case "Finalising":
      return 0;
  }
}

function strategyName({ analysis }: ReadCanary): string {
  return analysis.strategy.kind === "weights" ? "canary" : analysis.strategy.kind;
}
