import type { Canary } from "../../api/kinds.ts";
import { paint } from "../output/colour.ts";
import { ageOf } from "../output/duration.ts";
import type { Row } from "../output/table.ts";

/** The columns of `get canaries`. */
export function canaryHeaders(withNamespace: boolean): Row {
  return [
    ...(withNamespace ? ["NAMESPACE"] : []),
    "NAME",
    "PHASE",
    "WEIGHT",
    "FAILED CHECKS",
    "SINCE",
    "REASON",
  ];
}

/** One canary as a row of {@link canaryHeaders}. `now` in epoch milliseconds. */
export function canaryRow({ metadata, spec, status }: Canary, withNamespace: boolean, now: number): Row {
  const threshold = analysisOf(spec)?.threshold;
  const failed = status?.failedChecks ?? 0;
  return [
    ...(withNamespace ? [metadata.namespace ?? ""] : []),
    metadata.name,
    paintPhase(phaseOf(status)),
    `${status?.canaryWeight ?? 0} %`,
    threshold === undefined ? String(failed) : `${failed} of ${threshold}`,
    ageOf(status?.lastTransitionTime ?? metadata.creationTimestamp, now),
    reasonOf({ spec, status }),
  ];
}

/** The phase in a word; a Canary that no controller has seen yet has none. */
export function phaseOf(status: Canary["status"]): string {
  return status?.phase || "Unseen";
}

/** The analysis, also under its old name. */
export function analysisOf(spec: Canary["spec"]): Canary["spec"]["analysis"] {
  return spec.analysis ?? spec.canaryAnalysis;
}

export function paintPhase(phase: string): string {
  if (phase === "Failed") return paint("red", phase);
  if (phase === "Succeeded" || phase === "Initialized") return paint("green", phase);
  return paint("yellow", phase);
}

/** Why it is not simply going on, in some words; empty where it is. */
function reasonOf({
  spec,
  status,
}: {
  readonly spec: Canary["spec"];
  readonly status: Canary["status"];
}): string {
  if (spec.suspend) return "suspended";
  if (status?.phase === "Failed")
    return status.failure ? `${status.failure.reason}: ${status.failure.message}${rescuedText(status)}` : "";
  const stalled = status?.conditions?.find(({ type, status }) => type === "Stalled" && status === "True");
  return stalled ? `${stalled.reason}: ${stalled.message ?? ""}` : "";
}

/** How many users a shield kept from the failures, e.g. `; 28 users rescued`; empty where there were none. */
function rescuedText({ shield }: NonNullable<Canary["status"]>): string {
  return shield === undefined || shield.rescued === 0 ? "" : `; ${shield.rescued} users rescued`;
}
