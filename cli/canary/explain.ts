import type { Canary } from "../../api/kinds.ts";
import { ageOf } from "../output/duration.ts";
import { analysisOf, phaseOf } from "./row.ts";

type Status = NonNullable<Canary["status"]>;
type Check = NonNullable<Status["checks"]>[number];

/** Why a canary is where it is: the answer first, then the evidence, a line each. `now` in epoch milliseconds. */
export function explain(canary: Canary, now: number): readonly string[] {
  const { metadata, spec, status } = canary;
  const { name } = metadata;
  if (status === undefined) return [`${name} has no status: no controller has seen it; is one running?`];
  const lines = [headline(canary, status, now)];
  if (spec.suspend) lines.push("it is suspended: set spec.suspend to false to go on");
  for (const { type, status: value, reason, message } of status.conditions ?? []) {
    if (type === "Stalled" && value === "True")
      lines.push(`stalled: ${reason}${message ? `: ${message}` : ""}`);
  }
  if (status.phase !== "Failed") for (const check of status.checks ?? []) lines.push(checkLine(check));
  if (status.run && status.analysis) lines.push(...evidence(status.analysis));
  return lines;
}

function headline({ metadata: { name }, spec }: Canary, status: Status, now: number): string {
  const since = `for ${ageOf(status.lastTransitionTime, now)}`;
  const weight = `${status.canaryWeight ?? 0} %`;
  switch (status.phase) {
    case "Failed": {
      const { failure } = status;
      if (!failure) return `${name} was rolled back ${ageOf(status.lastTransitionTime, now)} ago`;
      return `${name} was rolled back ${ageOf(failure.at ?? status.lastTransitionTime, now)} ago: ${failure.reason}: ${failure.message}`;
    }
    case "Succeeded":
      return `${name} was promoted ${ageOf(status.lastTransitionTime, now)} ago: its last version serves all traffic`;
    case "Initialized":
      return `${name} waits for a new version of ${spec.targetRef.kind.toLowerCase()} ${spec.targetRef.name}`;
    case "Progressing":
      return `${name} is at ${weight} of the traffic ${since}: ${progress(status, spec, now)}`;
    case "Waiting":
    case "WaitingPromotion":
      return `${name} waits ${since} for approval by its ${status.phase === "Waiting" ? "confirm-rollout" : "confirm-promotion"} webhook`;
    case "Promoting":
      return `${name} passed: the primary is being rolled to its version, ${weight} of the traffic is still the canary's`;
    default:
      return `${name} is in phase ${phaseOf(status)} ${since}`;
  }
}

function progress(status: Status, spec: Canary["spec"], now: number): string {
  const failed = status.failedChecks ?? 0;
  const threshold = analysisOf(spec)?.threshold;
  if (status.run?.heldSince)
    return `held since ${ageOf(status.run.heldSince, now)}, as checks are inconclusive`;
  if (failed === 0) return "all checks pass";
  return `${failed}${threshold === undefined ? "" : ` of ${threshold}`} failed checks; at the limit it is rolled back`;
}

/** e.g. `request-success-rate: failed, 97.2 (wanted >= 99)`. */
function checkLine({ name, result, value, limit, message }: Check): string {
  const seen = value === undefined ? "no value" : formatValue(value);
  const wanted = limit === undefined ? "" : ` (wanted ${limit})`;
  return `${name}: ${result}, ${seen}${wanted}${message ? `: ${message}` : ""}`;
}

function evidence({
  harm,
  rollbackAt,
  worst,
  canary,
  primary,
  safe,
  promoteAt,
}: NonNullable<Status["analysis"]>): readonly string[] {
  const lines: string[] = [];
  if (harm !== undefined && rollbackAt !== undefined) {
    const about =
      worst === undefined ? "" : ` (most by ${worst}: canary ${canary ?? "?"}, primary ${primary ?? "?"})`;
    lines.push(`evidence of harm: ${formatValue(harm)} of ${formatValue(rollbackAt)}${about}`);
  }
  if (safe !== undefined && promoteAt !== undefined)
    lines.push(`evidence of safety: ${formatValue(safe)} of ${formatValue(promoteAt)}`);
  return lines;
}

/** At most four significant digits, without trailing zeros. */
export function formatValue(value: number): string {
  return String(Number(value.toPrecision(4)));
}
