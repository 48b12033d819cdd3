import type { ReadCanary } from "../api/canary/types.ts";
import type { KubeObject } from "../api/resource.ts";
import type { Snapshot } from "../kube/contract.ts";
import type { Milliseconds, Percent } from "../lib/units.ts";
import { nextPosition, nowhere, type Position } from "./decide/plan.ts";
import { idleTraffic } from "./decide/traffic.ts";
import { notDriven } from "./decision-spec.ts";
import { objectWrites } from "./objects.ts";
import { createPrimaryWrites } from "./primary.ts";
import type { Router } from "./routers/router.ts";
import type { ControllerSettings } from "./settings.ts";
import { readSubject, targetRevision } from "./subject.ts";
import { isServiceTemplate } from "./targets/service.ts";
import type { Write } from "./write.ts";

/** What a Canary would do, before it does it. */
export interface Plan {
  /** In the order in which they would be written. */
  readonly objects: readonly PlannedObject[];
  readonly moves: readonly Move[];
  /** Why it would not go as planned: a config that is missing, a field that is not driven. */
  readonly obstacles: readonly string[];
}

export interface PlannedObject {
  readonly action: "create" | "change";
  readonly object: KubeObject;
}

/** One move of a release whose checks all pass. */
export interface Move {
  /** From the moment in which the canary's pods are ready. */
  readonly after: Milliseconds;
  readonly kind: "weight" | "iteration" | "promotion";
  /** Of the canary; undefined where the strategy moves no weights. */
  readonly weight?: Percent;
  /** Of the iterations that A/B tests and blue/green releases count. */
  readonly iteration?: number;
}

/** What a Canary would make of the objects in `snapshot`, and its weights over time. Pure. */
export function planCanary(
  canary: ReadCanary,
  snapshot: Snapshot,
  router: Router,
  settings: ControllerSettings,
): Plan {
  const subject = readSubject(canary, snapshot, router, settings);
  const { template } = subject;
  const undriven = notDriven(canary);
  const obstacles = [
    ...(undriven === undefined ? [] : [undriven]),
    ...subject.configs.missing.map((name) => `${name} not found`),
  ];
  if (template === undefined) {
    const { kind, name } = canary.target;
    return {
      objects: [],
      moves: movesOf(canary),
      obstacles: [...obstacles, `${kind} \`${name}\` not found`],
    };
  }
  if (subject.selector === undefined && !isServiceTemplate(template)) {
    const names = settings.selectorLabels.map((name) => `\`${name}\``).join(", ");
    return {
      objects: [],
      moves: movesOf(canary),
      obstacles: [...obstacles, `spec.selector.matchLabels of the target must contain one of ${names}`],
    };
  }
  const primary = createPrimaryWrites(subject, targetRevision(subject, template)).flatMap(planned);
  const made =
    subject.primary ?? primary.map(({ object }) => object).find(({ kind }) => kind === canary.target.kind);
  // What belongs to the primary is made once it is there.
  const withPrimary = { ...subject, ...(made && { primary: made as typeof subject.primary }) };
  const rest = objectWrites(withPrimary, true, idleTraffic);
  return { objects: [...primary, ...rest.flatMap(planned)], moves: movesOf(canary), obstacles };
}

function planned(write: Write): readonly PlannedObject[] {
  switch (write.kind) {
    case "create":
      return [{ action: "create", object: write.object }];
    case "replace":
      return [{ action: "change", object: write.object }];
    case "status":
    case "patch":
      return [];
  }
}

function movesOf({ analysis, skipAnalysis }: ReadCanary): readonly Move[] {
  const { strategy, interval, stepWeightPromotion } = analysis;
  if (skipAnalysis) return [{ after: 0, kind: "promotion", weight: 0 }];
  const moves: Move[] = [];
  let after = 0;
  let last = nowhere;
  for (let at = nextPosition(strategy, last); at !== undefined; at = nextPosition(strategy, at)) {
    last = at;
    moves.push(moveTo(at, after));
    const held = strategy.kind === "weights" ? strategy.holds.get(at.canaryWeight)?.duration : undefined;
    after += Math.max(interval, held ?? 0);
  }
  const back: Move[] = [];
  for (let weight = last.canaryWeight; stepWeightPromotion > 0 && weight > stepWeightPromotion; ) {
    weight -= stepWeightPromotion;
    back.push({ after: after + back.length * interval, kind: "promotion", weight });
  }
  const end = after + back.length * interval;
  const movesWeights = last.canaryWeight > 0;
  return [...moves, ...back, { after: end, kind: "promotion", ...(movesWeights && { weight: 0 }) }];
}

function moveTo({ canaryWeight, iterations }: Position, after: Milliseconds): Move {
  return canaryWeight > 0
    ? { after, kind: "weight", weight: canaryWeight }
    : { after, kind: "iteration", iteration: iterations };
}
