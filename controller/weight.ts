import type { ReconcileOptions } from "./context.ts";
import type { Traffic } from "./decide/traffic.ts";
import type { Entry } from "./entry.ts";
import { routeVersion, type Subject } from "./subject.ts";

/** How often it is asked whether the proxies hold a weight, and when it is taken as held. */
const lookEvery = 20;
const longest = 500;

/** Tells the judge a new weight as soon as the proxies hold it: what they see from then on counts for it. */
export function followWeight(
  entry: Entry,
  subject: Subject,
  { canaryWeight: weight }: Traffic,
  { acknowledged, clock }: Pick<ReconcileOptions, "acknowledged" | "clock">,
): void {
  const { analysis } = entry;
  if (analysis === undefined || entry.tracked?.weight === weight) return;
  entry.tracked?.stop();
  // Nothing below may hold `subject`, and with it a snapshot, for as long as the run lasts.
  const version = routeVersion(subject);
  const route = {
    ...subject.router.route(subject.canary),
    ...(version !== undefined && { resourceVersion: version }),
  };
  const started = clock.monotonic();
  let cancel = (): void => {};
  const look = (): void => {
    const answer = acknowledged?.(route);
    const held = answer !== undefined && answer.of > 0 && answer.held >= answer.of;
    if (held || clock.monotonic() - started >= longest) analysis.setWeight(weight, clock.now());
    else cancel = clock.after(lookEvery, look);
  };
  entry.tracked = { weight, stop: () => cancel() };
  look();
}
