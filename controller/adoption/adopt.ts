import type { ReadCanary } from "../../api/canary/types.ts";
import type { Snapshot } from "../../kube/contract.ts";
import { revisionNews } from "../decide/new-run.ts";
import { idleTraffic } from "../decide/traffic.ts";
import { notDriven } from "../decision-spec.ts";
import { observe } from "../observe.ts";
import { isRevision } from "../revision.ts";
import { chooseRouter } from "../routers/choose.ts";
import type { ControllerSettings } from "../settings.ts";
import { readState } from "../status/read.ts";
import { readSubject } from "../subject.ts";

/** What happens to a Canary when this controller takes it over. */
export type Adoption =
  /** It goes on where it stands: no pod is started, no weight moves. */
  | { readonly kind: "adopted"; readonly message: string }
  /** Its target has another template than its primary: that one is analysed. */
  | { readonly kind: "released"; readonly message: string }
  /** A release is under way, whose analysis nobody can go on with. */
  | { readonly kind: "under-way"; readonly message: string }
  | { readonly kind: "not-driven"; readonly message: string };

const underWay: ReadonlySet<string> = new Set([
  "Progressing",
  "WaitingPromotion",
  "Promoting",
  "Finalising",
  "Terminating",
]);

/** Foretells how a Canary that Flagger drives is taken over. Pure. */
export function foretellAdoption(
  canary: ReadCanary,
  snapshot: Snapshot,
  settings: ControllerSettings,
): Adoption {
  const undriven = notDriven(canary);
  if (undriven !== undefined) return { kind: "not-driven", message: undriven };
  const phase = canary.object.status?.phase ?? "";
  if (underWay.has(phase)) {
    const weight = canary.object.status?.canaryWeight ?? 0;
    return { kind: "under-way", message: `in phase ${phase} at weight ${weight}: wait for its end` };
  }
  const state = readState(canary.object.status);
  const router = chooseRouter(canary);
  const subject = readSubject(canary, snapshot, router, settings);
  const { target } = observe(subject, state, idleTraffic, {
    ...{ now: 0, freshRun: "", drainsIn: 0, formerIsListed: false },
    route: router.observe(canary, idleTraffic, snapshot),
    isOwn: () => false,
  });
  if (target.kind !== "present")
    return { kind: "adopted", message: `waits for its target: ${target.message}` };
  if (isRevision(state.applied)) return { kind: "adopted", message: "it is fairlead's already" };
  if (phase === "" || phase === "Initializing")
    return { kind: "adopted", message: "it is initialized first, as by Flagger" };
  const kind = revisionNews(state, target) === "new" ? "released" : "adopted";
  const compared = target.sameAsPrimary ? "its primary has the target's template" : `it stays ${phase}`;
  return {
    kind,
    message: kind === "adopted" ? compared : "its target differs from its primary: that is analysed",
  };
}
