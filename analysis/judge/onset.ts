/** Prior that a fault is there from the first request; the rest is spread over later polls. */
export const fromStart = 0.85;

/** Share of the late-onset prior spent `elapsed` into a run planned to last `planned` (same unit). */
function spent(elapsed: number, planned: number): number {
  return elapsed / (planned + elapsed);
}

/** ln of the prior that the fault began in the poll from `before` to `elapsed`. */
export function lateOnset(before: number, elapsed: number, planned: number): number {
  return Math.log((1 - fromStart) * (spent(elapsed, planned) - spent(Math.max(before, 0), planned)));
}

/** The prior that it has not begun yet: it keeps the sum's mean at 1. */
export function notYet(elapsed: number, planned: number): number {
  return (1 - fromStart) * (1 - spent(elapsed, planned));
}
