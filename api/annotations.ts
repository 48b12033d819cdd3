/** The annotations under `fairlead.dev/` that rooms agree on. What they hold is JSON where a shape is given here. */

/** On a route object while a run is live. Value: {@link RunMark}. The mesh then carries the weights by RTDS and logs attempts. */
export const runAnnotation = "fairlead.dev/run";
/** On a route object, written in the same patch as weight 0. Value: {@link RollbackMark}. Counts for that run only. */
export const rollbackAnnotation = "fairlead.dev/rollback";
/** What a person asked of a Canary: promote, abort, pause, resume, retry, skip, set-weight=N. */
export const actionAnnotation = "fairlead.dev/action";
/** For which revision the action was meant. */
export const revisionAnnotation = "fairlead.dev/revision";
export const byAnnotation = "fairlead.dev/by";
export const reasonAnnotation = "fairlead.dev/reason";
export const pausedAnnotation = "fairlead.dev/paused";
/** Before the name of a confirm-* hook, or of its type where it has no hook: `open` or `closed` by hand, whatever the hook says. */
export const gatePrefix = "gate.fairlead.dev/";

/** On a namespace or a pod: `learned` makes sidecars that are injected from then on get what they need, `all` is the default. */
export const scopeAnnotation = "fairlead.dev/scope";

/** On ConfigMaps that hold a recorded run: no room watches them. */
export const recordLabel = "fairlead.dev/record";
/** State of the gate and of the rollback switch that `/gate/*` and `/rollback/*` open and close: `open`, else closed. */
export const gateAnnotation = "fairlead.dev/gate";
export const rollbackSwitchAnnotation = "fairlead.dev/rollback-switch";

/** Names the run whose weights a route carries, and its two arms. */
export interface RunMark {
  readonly canary: { readonly namespace: string; readonly name: string; readonly uid: string };
  readonly run: string;
  readonly revision: string;
  /** Fully qualified hosts of the two destinations. */
  readonly primaryHost: string;
  readonly canaryHost: string;
  /** The shield of `spec.analysis.shield`; absent: a canary's failures reach the users. */
  readonly shield?: Shield;
}

/** Which of the canary's failed requests the primary answers in its place, inside the proxy. */
export interface Shield {
  /** HTTP methods, upper case, e.g. `GET`. Never empty. */
  readonly methods: readonly string[];
  /** An attempt without an answer for so long is a failed one, milliseconds. */
  readonly hangAfter: number;
}

export interface RollbackMark {
  readonly id: string;
  readonly run: string;
  readonly revision: string;
  readonly reason: string;
  /** RFC 3339. */
  readonly at: string;
}
