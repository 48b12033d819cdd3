import type { RunAnalysis } from "../analysis/analyst.ts";
import { describeRescues } from "../analysis/describe-rescues.ts";
import type { ReadCanary } from "../api/canary/types.ts";
import type { ReconcileOptions } from "./context.ts";
import type { Entry } from "./entry.ts";

/** Counts what a run's shield does for users; what it did in all is told some seconds after the run's end. */
export function followRescues(
  entry: Entry,
  canary: ReadCanary,
  analysis: RunAnalysis,
  {
    metrics,
    recorder,
    enqueue,
    lease,
    entries,
  }: Pick<ReconcileOptions, "metrics" | "recorder" | "enqueue" | "lease" | "entries">,
): void {
  const { run } = analysis.run;
  let told = analysis.rescues();
  if (told === undefined) return;
  entry.rescues = { run, ...told };
  analysis.onRescues((rescues, last) => {
    const before = told ?? rescues;
    told = rescues;
    // Who only stands by has seen the same; a Canary that is gone has no series any more.
    if (!lease.held(entry.key) || entries.get(entry.key) !== entry) return;
    metrics.shielded(canary, {
      rescued: rescues.rescued - before.rescued,
      notRescued: rescues.notRescued - before.notRescued,
    });
    // A run that goes on under another controller is told there.
    const message = last && entry.analysis !== analysis ? describeRescues(rescues) : undefined;
    if (message !== undefined) recorder.event(canary.object, "Normal", "Shield", message);
    // A run that has begun since has its own.
    if (entry.rescues?.run !== run) return;
    entry.rescues = { run, ...rescues };
    enqueue(entry.key);
  });
}
