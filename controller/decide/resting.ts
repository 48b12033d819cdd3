import type { Ask, Decision, Effect } from "./effects.ts";
import { closedByHand, gateNotice } from "./gates.ts";
import { leaveFormerProvider } from "./leave-provider.ts";
import { adopted, askConfirmRollout, revisionNews, startRun } from "./new-run.ts";
import { targetNotice, templateNotice } from "./notices.ts";
import type { HookOutcome, Observation } from "./observation.ts";
import { type DecisionSpec, hooksOf } from "./spec.ts";
import { type Resting, remembered, type Waiting } from "./state.ts";

/** No run is under way: what the last one left is finished, what was made is kept, and a new revision begins a run. */
export function decideResting(state: Resting, seen: Observation, spec: DecisionSpec): Decision {
  return (
    keepSafe(state, seen) ??
    cleanUp(state, seen, spec) ??
    unmarkRoute(state, seen) ??
    keepObjects(state, seen, spec) ??
    considerRevision(state, seen, spec)
  );
}

/** Without a run the canary takes no traffic, whoever gave it some. */
export function keepSafe(state: Resting | Waiting, { route }: Observation): Decision | undefined {
  if (route.kind !== "present" || route.asWanted) return undefined;
  return {
    next: state,
    effects: [{ kind: "store" }, { kind: "set-traffic", run: undefined }],
  };
}

function cleanUp(state: Resting, seen: Observation, spec: DecisionSpec): Decision | undefined {
  const [first, ...rest] = state.cleanup;
  if (first === undefined) return undefined;
  const done: Resting = withCleanup(state, rest);
  if (first === "post-rollout") {
    const ask = askPostRollout(state, seen, spec);
    if (ask === undefined) return { next: done, effects: [{ kind: "store" }] };
    const { measurement } = seen;
    if (measurement?.about.phase !== "post-rollout" || measurement.about.run !== state.closed?.id)
      return { next: state, effects: [], ask };
    return { next: done, effects: [{ kind: "store" }, ...hookEvents(measurement.hooks, "Post-rollout")] };
  }
  if (seen.target.kind === "missing" || seen.target.replicas === 0)
    return { next: done, effects: [{ kind: "store" }] };
  // A new revision is about to need the pods.
  if (seen.target.kind === "present" && !seen.suspended && revisionNews(state, seen.target) === "new") {
    return { next: done, effects: [{ kind: "store" }] };
  }
  if (seen.drainsIn > 0) return { next: state, effects: [], again: seen.drainsIn };
  return { next: done, effects: [{ kind: "scale-target", replicas: 0 }, { kind: "store" }] };
}

/** The run's mark goes when its end is stored. */
function unmarkRoute(state: Resting, { route }: Observation): Decision | undefined {
  if (route.kind !== "present" || route.run === undefined) return undefined;
  return { next: state, effects: [{ kind: "clear-run-mark" }] };
}

export function keepObjects(
  state: Resting | Waiting,
  seen: Observation,
  spec: DecisionSpec,
): Decision | undefined {
  const { target, primary, objects, route } = seen;
  if (target.kind === "unusable") {
    return { next: state, effects: [{ kind: "store" }], notice: targetNotice(target, spec) };
  }
  if (primary.kind === "missing" && state.promoted !== undefined && target.kind === "present") {
    return { next: state, effects: [{ kind: "create-primary", revision: state.promoted }] };
  }
  if (objects.drifted || route.kind === "missing") {
    if (target.kind === "missing") return undefined;
    return { next: state, effects: [{ kind: "store" }, { kind: "apply-objects", apex: true }] };
  }
  if (route.kind === "unusable") {
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "RouteUnusable", message: route.message, stalled: true },
    };
  }
  return leaveFormerProvider(state, seen, spec);
}

/** Other canaries' ends are no changes of this one. */
const queueInterval = 1000;

/** Starts what is new, waits for its gates, and records what is not. */
export function considerRevision(state: Resting | Waiting, seen: Observation, spec: DecisionSpec): Decision {
  const { target } = seen;
  if (target.kind !== "present")
    return { next: state, effects: [{ kind: "store" }], notice: targetNotice(target, spec) };
  const news = revisionNews(state, target);
  if (news !== "new") {
    if (news === "adopt") {
      return {
        next: { ...resting(state), ...adopted(state, target) },
        effects: [...(target.sameAsPrimary ? [storeRevision(target.revision)] : []), { kind: "store" }],
      };
    }
    return {
      next: resting(state),
      effects: [{ kind: "store" }],
      ...(seen.missingTemplates !== undefined && { notice: templateNotice(seen.missingTemplates) }),
    };
  }
  if (seen.missingTemplates !== undefined) {
    const notice = templateNotice(`a new revision waits: ${seen.missingTemplates}`);
    return { next: state, effects: [{ kind: "store" }], notice };
  }
  if (seen.suspended) {
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "Suspended", message: "skipping canary run as object is suspended", stalled: false },
    };
  }
  if (seen.paused) {
    return {
      next: state,
      effects: [{ kind: "store" }],
      notice: { reason: "Paused", message: "a new revision waits: the canary is paused", stalled: false },
    };
  }
  if (seen.queued !== undefined) {
    const message = `a new revision waits: ${seen.queued}`;
    const notice = { reason: "Queued", message, stalled: false };
    return { next: state, effects: [{ kind: "store" }], notice, again: queueInterval };
  }
  const shut = closedByHand(spec, seen.gates, "confirm-rollout");
  if (shut !== undefined) return waitForApproval(state, spec, { name: shut, muteAlert: false });
  const ask = askConfirmRollout(state, target, spec, seen);
  if (ask === undefined) return startRun(state, target, seen, spec);
  const { measurement } = seen;
  if (measurement?.about.phase !== "confirm-rollout" || measurement.about.revision !== target.revision) {
    return { next: state, effects: [], ask };
  }
  const closed = measurement.hooks.find(({ answer }) => answer.kind !== "passed");
  if (closed === undefined) {
    const start = startRun(state, target, seen, spec);
    return { ...start, effects: [...start.effects, ...hookEvents(measurement.hooks, "Confirm-rollout")] };
  }
  return {
    ...waitForApproval(state, spec, closed),
    ask: { ...ask, notBefore: seen.now + spec.interval },
  };
}

function waitForApproval(
  state: Resting | Waiting,
  spec: DecisionSpec,
  { name, muteAlert }: Pick<HookOutcome, "name" | "muteAlert">,
): Decision {
  const next: Waiting = { ...remembered(state), phase: "Waiting" };
  const isNews = state.phase !== "Waiting" && !muteAlert;
  return {
    next,
    effects: [
      { kind: "store" },
      ...(isNews
        ? [{ kind: "alert", severity: "warn", message: "Canary is waiting for approval." } as const]
        : []),
    ],
    notice: gateNotice(spec, "confirm-rollout", name),
  };
}

function resting(state: Resting | Waiting): Resting {
  return state.phase === "Waiting" ? { ...remembered(state), phase: "Succeeded", cleanup: [] } : state;
}

function withCleanup(state: Resting, cleanup: Resting["cleanup"]): Resting {
  const { closed, ...rest } = state;
  return { ...rest, ...(closed && cleanup.length > 0 && { closed }), cleanup };
}

function askPostRollout({ closed, phase }: Resting, seen: Observation, spec: DecisionSpec): Ask | undefined {
  const hooks = hooksOf(spec, "post-rollout");
  if (closed === undefined || hooks.length === 0) return undefined;
  return {
    about: { phase: "post-rollout", run: closed.id },
    hooks,
    checks: false,
    gates: [],
    phase,
    run: closed.id,
    revision: closed.revision,
    notBefore: seen.now,
  };
}

export function hookEvents(
  outcomes: NonNullable<Observation["measurement"]>["hooks"],
  title:
    | "Pre-rollout"
    | "Post-rollout"
    | "Confirm-rollout"
    | "Confirm-traffic-increase"
    | "Confirm-promotion",
): readonly Effect[] {
  return outcomes.map(({ name, answer }) =>
    answer.kind === "passed"
      ? { kind: "event", type: "Normal", reason: "HookPassed", message: `${title} check ${name} passed` }
      : {
          kind: "event",
          type: "Warning",
          reason: "HookFailed",
          message: `${title} hook ${name} failed ${answer.text}`,
        },
  );
}

function storeRevision(revision: string): Effect {
  return { kind: "store-revision", revision };
}
