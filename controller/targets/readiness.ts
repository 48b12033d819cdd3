import type { Deployment } from "../../api/core.ts";
import type { Milliseconds, Percent } from "../../lib/units.ts";

/** Whether a workload's pods serve its newest template. */
export type Readiness =
  | { readonly kind: "ready" }
  | { readonly kind: "waiting"; readonly message: string }
  /** No more waiting: the deadline has passed. */
  | { readonly kind: "failed"; readonly message: string };

/**
 * Flagger's rule for a Deployment: the controller has seen the spec, every replica is updated, and at least
 * `threshold` percent of the updated ones are available.
 *
 * Fails on the Deployment's own ProgressDeadlineExceeded, and where Available has been False for longer than `deadline`.
 */
export function deploymentReadiness(
  deployment: Deployment,
  threshold: Percent,
  deadline: Milliseconds,
  now: number,
): Readiness {
  const { status, metadata } = deployment;
  const name = metadata.name;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    return waiting(`deployment "${name}"`, "observed deployment generation less than desired generation");
  }
  const progressing = status?.conditions?.find(({ type }) => type === "Progressing");
  if (progressing?.reason === "ProgressDeadlineExceeded") {
    return { kind: "failed", message: `deployment "${name}" exceeded its progress deadline` };
  }
  const available = status?.conditions?.find(({ type }) => type === "Available");
  const unavailableSince =
    available?.status === "False" && available.reason === "MinimumReplicasUnavailable"
      ? Date.parse(available.lastUpdateTime ?? available.lastTransitionTime ?? "")
      : Number.NaN;
  const reason = unreadyReason(deployment, threshold);
  if (reason === undefined) return { kind: "ready" };
  if (now - unavailableSince > deadline) {
    return { kind: "failed", message: `deployment "${name}" exceeded its progress deadline: ${reason}` };
  }
  return waiting(`deployment "${name}"`, reason);
}

function unreadyReason({ spec, status }: Deployment, threshold: Percent): string | undefined {
  const desired = spec?.replicas ?? 1;
  const updated = status?.updatedReplicas ?? 0;
  const replicas = status?.replicas ?? 0;
  const available = status?.availableReplicas ?? 0;
  if (updated < desired) return `${updated} out of ${desired} new replicas have been updated`;
  if (replicas > updated) return `${replicas - updated} old replicas are pending termination`;
  const needed = Math.floor((updated * threshold) / 100);
  if (available < needed)
    return `${available} of ${updated} (readyThreshold ${threshold}%) updated replicas are available`;
  return undefined;
}

/** @param workload kind and name, e.g. `deployment "shop"` */
export function waiting(workload: string, reason: string): Readiness {
  return { kind: "waiting", message: `waiting for rollout to finish: ${reason}, ${workload}` };
}
