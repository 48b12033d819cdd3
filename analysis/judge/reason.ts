import type { Judgement, TestEvidence } from "./types.ts";

/** A share as people read it: three significant digits. */
function asPercent(share: number | undefined): string {
  return share === undefined ? "none" : `${Number((share * 100).toPrecision(3))} %`;
}

/** e^nats to 1, capped so that it stays readable. */
function odds(nats: number): string {
  const value = Math.exp(Math.min(nats, Math.log(1e6)));
  return nats > Math.log(1e6)
    ? "over 1000000:1"
    : `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)}:1`;
}

/** E.g. `errors 0.61 % against 0.1 %: odds 140:1, rolling back`. */
export function harmReason(
  test: TestEvidence | undefined,
  harm: number,
  verdict: Judgement["verdict"],
): string {
  const end = verdict === "rollback" ? "rolling back" : "holding";
  if (test === undefined) return `odds ${odds(harm)} that the canary is worse, ${end}`;
  if (test.paired === true)
    return `${test.name} in ${asPercent(test.canary)} of moments: odds ${odds(harm)}, ${end}`;
  return `${test.name} ${asPercent(test.canary)} against ${asPercent(test.primary)}: odds ${odds(harm)}, ${end}`;
}

export function safeReason(safe: number, promoteAt: number, guard: boolean): string {
  return guard
    ? "nothing speaks against the canary"
    : `evidence of safety ${safe.toFixed(2)} of ${promoteAt.toFixed(2)}`;
}
