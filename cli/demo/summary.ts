import type { Outcome, Plot } from "./story.ts";

/** The summary's fields, as `--json` prints them. Seconds rounded to milliseconds. */
export function summaryOf(outcome: Outcome, envoyVersion: string): Record<string, unknown> {
  const seconds = (value: number | undefined) =>
    value === undefined ? undefined : Math.round(value * 1000) / 1000;
  return {
    promotedSeconds: seconds(outcome.promotedSeconds),
    faultToZeroWeightSeconds: seconds(outcome.faultToZeroWeightSeconds),
    faultAt: outcome.faultAt,
    requests: outcome.requests,
    ...(outcome.rescued !== undefined && {
      rescued: outcome.rescued,
      failedAttempts: outcome.failedAttempts,
      failed: outcome.failed,
      failedWhileAtFault: outcome.failedWhileAtFault,
    }),
    failedBeforeFault: outcome.failedBeforeFault,
    canaryErrors: outcome.canaryErrors,
    failedAfterRollback: outcome.failedAfterRollback,
    denied: outcome.denied,
    allowed: outcome.allowed,
    reason: outcome.reason,
    record: outcome.record,
    envoyVersion,
  };
}

/** What the demo promised and did not keep; empty when all is well. */
export function brokenPromises(outcome: Outcome, { fault, shield }: Plot): string[] {
  const broken: string[] = [];
  if (outcome.promotedSeconds === undefined) broken.push("version 2 was not promoted");
  if (outcome.denied !== 403) broken.push(`the caller without permission got ${outcome.denied}, not 403`);
  if (outcome.allowed !== 200) broken.push(`the caller with permission got ${outcome.allowed}, not 200`);
  if (fault === "none" && outcome.lastPhase !== "Succeeded")
    broken.push("version 3 was healthy and was not promoted");
  if (fault !== "none" && outcome.lastPhase !== "Failed")
    broken.push("version 3 was broken and was not rolled back");
  if (outcome.failedBeforeFault > 0)
    broken.push(`${outcome.failedBeforeFault} requests failed that no fault explains`);
  if (outcome.failedAfterRollback > 0)
    broken.push(`${outcome.failedAfterRollback} requests failed after the rollback`);
  if (shield && outcome.failedWhileAtFault > 0)
    broken.push(
      `${outcome.failedWhileAtFault} users saw a failure while version 3 was at fault behind the shield`,
    );
  if (shield && fault !== "none" && !outcome.rescued) broken.push("the shield has rescued nobody");
  return broken;
}

/** The last words for people. */
export function tell(outcome: Outcome, { fault, shield }: Plot): string[] {
  const lines = [
    `${outcome.requests.toLocaleString("en")} requests through real Envoys; ${outcome.failedBeforeFault} failed that no fault explains.`,
    `version 2: promoted in ${outcome.promotedSeconds?.toFixed(1) ?? "–"} s.`,
  ];
  if (fault === "none")
    lines.push(`version 3: ${outcome.lastPhase === "Succeeded" ? "promoted" : "not promoted"}.`);
  else {
    if (shield)
      lines.push(
        `version 3: taken back ${outcome.faultToZeroWeightSeconds?.toFixed(2) ?? "–"} s after its first failed attempt; of ${outcome.failedAttempts ?? 0} the primary answered ${outcome.rescued ?? 0}, ${outcome.failedWhileAtFault} failed requests for GETs.`,
      );
    else
      lines.push(
        `version 3: taken back ${outcome.faultToZeroWeightSeconds?.toFixed(2) ?? "–"} s after its first failure; ${outcome.canaryErrors} users saw an error, ${outcome.failedAfterRollback} after that.`,
      );
    if (outcome.reason !== undefined) lines.push(`why: ${outcome.reason}`);
  }
  lines.push(`policy: guest ${outcome.denied}, web ${outcome.allowed}.`, `record: ${outcome.record}`);
  return lines;
}
