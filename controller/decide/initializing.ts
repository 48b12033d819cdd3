import type { Decision, Effect } from "./effects.ts";
import { targetNotice } from "./notices.ts";
import type { Observation } from "./observation.ts";
import type { DecisionSpec } from "./spec.ts";
import { type Initializing, type Resting, remembered } from "./state.ts";

/**
 * First sight of a target: the primary is made of it and must be ready before any traffic is led to it;
 * then the apex Service and the route are, and only when that is held does the target go to 0.
 *
 * A primary that does not get ready stops it here: the target keeps serving.
 */
export function decideInitializing(state: Initializing, seen: Observation, spec: DecisionSpec): Decision {
  const { target, primary, objects, route } = seen;
  if (target.kind !== "present")
    return { next: state, effects: [{ kind: "store" }], notice: targetNotice(target, spec) };
  if (primary.kind === "missing") {
    return {
      next: state,
      effects: [
        { kind: "store" },
        {
          kind: "event",
          type: "Normal",
          reason: "Initializing",
          message: `New ${spec.targetKind} detected, starting initialization of ${spec.canary}`,
        },
        { kind: "store-revision", revision: target.revision },
        { kind: "apply-objects", apex: false },
        { kind: "create-primary", revision: target.revision },
      ],
    };
  }
  if (primary.readiness.kind !== "ready") {
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: {
        reason: "PrimaryNotReady",
        message: `${spec.primary} not ready: ${primary.readiness.message}`,
        stalled: primary.readiness.kind === "failed",
      },
    };
  }
  if (objects.drifted || !objects.apexSwitched || route.kind === "missing") {
    return { next: state, effects: [{ kind: "store" }, { kind: "apply-objects", apex: true }] };
  }
  if (route.kind === "unusable") {
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "RouteUnusable", message: route.message, stalled: true },
    };
  }
  if (!route.asWanted) {
    return { next: state, effects: [{ kind: "set-traffic", run: undefined }] };
  }
  if (seen.drainsIn > 0) return { next: state, effects: [], again: seen.drainsIn };
  const promoted = target.sameAsPrimary ? target.revision : (primary.revision ?? target.revision);
  const next: Resting = {
    ...remembered(state),
    phase: "Initialized",
    applied: promoted,
    promoted,
    ...(promoted === target.revision && { fence: target.fence }),
    trackedConfigs: target.trackedConfigs,
    cleanup: [],
  };
  const scaleDown: readonly Effect[] = target.replicas > 0 ? [{ kind: "scale-target", replicas: 0 }] : [];
  return {
    next,
    effects: [
      ...scaleDown,
      { kind: "store" },
      {
        kind: "event",
        type: "Normal",
        reason: "Initialized",
        message: `Initialization done! ${spec.canary}`,
      },
      {
        kind: "alert",
        severity: "info",
        message: `New ${spec.targetKind} detected, initialization completed.`,
      },
    ],
  };
}
