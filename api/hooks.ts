/**
 * The contract between the controller and what it calls outside: a Canary's webhooks, its gates and its alerts.
 *
 * `webhooks/hooks` implements it; the guard never waits for it.
 */

/** Flagger's webhook types. */
export type HookType =
  | "confirm-rollout"
  | "pre-rollout"
  | "rollout"
  | "confirm-traffic-increase"
  | "confirm-promotion"
  | "post-rollout"
  | "rollback"
  | "event";

/** One entry of `spec.analysis.webhooks`. */
export interface Hook {
  readonly name: string;
  readonly type: HookType;
  readonly url: string;
  /** Milliseconds, per attempt. */
  readonly timeout: number;
  readonly retries: number;
  readonly disableTLS: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  /** Secret of the Canary's namespace that proves who calls. */
  readonly secret?: string;
}

export interface CanaryRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface RunId {
  readonly canary: CanaryRef;
  readonly run: string;
  readonly revision: string;
  /** Flagger's `checksum` of the payload. */
  readonly checksum: string;
}

export interface HookAnswer {
  readonly kind: "passed" | "failed" | "inconclusive";
  readonly status?: number;
  readonly text: string;
}

export interface GateChange {
  readonly hook: string;
  readonly open: boolean;
  readonly by: string;
  readonly at: number;
}

export interface RollbackAsked {
  readonly by: string;
  readonly reason: string;
  readonly at: number;
}

export type Severity = "info" | "warn" | "error";

/** One entry of `spec.analysis.alerts`. */
export interface AlertReceiver {
  /** The least severe that it wants. */
  readonly severity: Severity;
  readonly provider: { readonly namespace: string; readonly name: string };
}

export interface Alert {
  readonly canary: CanaryRef;
  /** Who is told; where nobody is, the receiver of the whole controller, if it has one. */
  readonly receivers: readonly AlertReceiver[];
  readonly severity: Severity;
  readonly message: string;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
}

export interface Hooks {
  /** `phase` is the Canary's phase as Flagger's payload carries it. Never throws: an error is an inconclusive answer. */
  call(
    hook: Hook,
    phase: string,
    run: RunId,
    idempotencyId: string,
    signal: AbortSignal,
  ): Promise<HookAnswer>;
  gates(canary: CanaryRef, signal: AbortSignal): AsyncIterable<GateChange>;
  rollbacks(canary: CanaryRef, signal: AbortSignal): AsyncIterable<RollbackAsked>;
  /** Sent in the background; a dead receiver never slows a rollout. */
  alert(alert: Alert): void;
}
