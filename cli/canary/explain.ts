import { describeRescues } from "../../analysis/describe-rescues.ts";
import type { Canary } from "../../api/kinds.ts";
import { ageOf } from "../output/duration.ts";
import { analysisOf, phaseOf } from "./row.ts";

type Status = NonNullable<Canary["status"]>;
type Check = NonNullable<Status["checks"]>[number];
type Evidence = NonNullable<Status["analysis"]>;
type TestEvidence = NonNullable<Evidence["tests"]>[number];

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
  if (status.phase !== "Failed") lines.push(...(status.checks ?? []).flatMap(checkLines));
  if (status.run && status.analysis) lines.push(...evidence(status.analysis));
  const shield = status.shield && describeRescues(status.shield);
  if (shield !== undefined) lines.push(`shield: ${shield}`);
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
  const counted = `${failed}${threshold === undefined ? "" : ` of ${threshold}`} failed checks; at the limit it is rolled back`;
  if (status.run?.heldSince) {
    const since = `held for ${ageOf(status.run.heldSince, now)}`;
    return failed > 0 ? `${since}; ${counted}` : `${since}${heldBecause(status)}`;
  }
  if (failed > 0) return counted;
  const checks = status.checks ?? [];
  if (checks.length === 0)
    return status.analysis?.reason ?? "no check has been measured yet, nothing speaks against it";
  return checks.every(({ result }) => result === "passed")
    ? "all checks pass"
    : "not all checks pass, none has failed";
}

/** What keeps the weight where it is: a check that says nothing, else the judge. */
function heldBecause({ checks = [], analysis }: Status): string {
  const open = checks.find(({ result }) => result === "inconclusive");
  if (open !== undefined) return `, as check ${open.name} is inconclusive`;
  return analysis?.reason === undefined ? "" : `: ${analysis.reason}`;
}

/** e.g. `request-success-rate: failed, 97.2 (wanted >= 99) from 1200 requests`, and the query where one was sent. */
function checkLines({ name, result, value, limit, samples, message, query }: Check): readonly string[] {
  const seen = value === undefined ? "no value" : formatValue(value);
  const wanted = limit === undefined ? "" : ` (wanted ${limit})`;
  const from = samples === undefined ? "" : ` from ${samples} requests`;
  // A value is not told twice.
  const why = message && result !== "passed" && value === undefined ? `: ${message}` : "";
  return [
    `${name}: ${result}, ${seen}${wanted}${from}${why}`,
    ...(query === undefined ? [] : [`  asked: ${query}`]),
  ];
}

function evidence(analysis: Evidence): readonly string[] {
  const { harm, rollbackAt, worst, canary, primary, safe, promoteAt, tests = [] } = analysis;
  const lines: string[] = [];
  if (harm !== undefined && rollbackAt !== undefined) {
    const about =
      worst === undefined ? "" : ` (most by ${worst}: canary ${canary ?? "?"}, primary ${primary ?? "?"})`;
    lines.push(`evidence of harm: ${formatValue(harm)} of ${formatValue(rollbackAt)}${about}`);
  }
  if (safe !== undefined && promoteAt !== undefined && promoteAt > 0)
    lines.push(`evidence of safety: ${formatValue(safe)} of ${formatValue(promoteAt)}`);
  return [...lines, ...tests.map(testLine)];
}

/** e.g. `  errors: canary 0.61 % of 320 requests, primary 0.1 %; harm 1.2, safe 1.9; 1.5 at once`. */
function testLine({ name, canary, primary, samples, harm, safe, dispersion }: TestEvidence): string {
  const from = samples === undefined ? "" : ` of ${samples} requests`;
  const proof = safe === undefined ? "" : `, safe ${formatValue(safe)}`;
  const clusters =
    dispersion === undefined || dispersion <= 1 ? "" : `; bad ones come ${formatValue(dispersion)} at once`;
  return `  ${name}: canary ${canary ?? "none"}${from}, primary ${primary ?? "none"}; harm ${formatValue(harm)}${proof}${clusters}`;
}

/** At most four significant digits, without trailing zeros. */
export function formatValue(value: number): string {
  return String(Number(value.toPrecision(4)));
}
