/**
 * The contract between the mesh, which sees every request, and who judges them.
 *
 * The mesh implements it (`mesh/signals`); `analysis` and `controller` use it and know nothing of Envoy.
 */

/** One version of a service while a release runs. `canary` is the new one. */
export type Arm = "primary" | "canary";

/** Who carries an arm's traffic: the Service's host as clients call it, and the workload behind it. */
export interface ArmTarget {
  /** Fully qualified, e.g. `shop-canary.demo.svc.cluster.local`. */
  readonly host: string;
  /** Name of the Deployment (or DaemonSet) whose pods serve it; empty where nobody knows. */
  readonly workload: string;
}

/** One analysis of one revision of one Canary. */
export interface Run {
  /** The route object that carries the weights. */
  readonly route: { readonly kind: string; readonly namespace: string; readonly name: string };
  /** UID of the Canary object. */
  readonly canaryUid: string;
  readonly namespace: string;
  readonly primary: ArmTarget;
  readonly canary: ArmTarget;
  /** Names this run; a restart of the analysis is another run. */
  readonly run: string;
  /** Hash of the revision under analysis. */
  readonly revision: string;
}

/** Which proxy said it, and since when it has been counting. */
export interface Source {
  /** Control plane replica that received it. */
  readonly replica: string;
  /** Node id of the proxy. */
  readonly proxy: string;
  /** When that proxy process began to count, epoch milliseconds: a restart is another source. */
  readonly start: number;
}

/** Of the primary's successful attempts one in so many is reported; the canary's, and all that fail, without exception. */
export const primarySample = 50;

/** One attempt of one request at an upstream endpoint, from the router's upstream log of the calling proxy. */
export interface Attempt {
  readonly kind: "attempt";
  readonly source: Source;
  readonly arm: Arm;
  /** When the attempt ended, epoch milliseconds. */
  readonly at: number;
  /** status >= 500, gRPC 2, 4, 8, 12-15, or no answer. */
  readonly failed: boolean;
  /** HTTP status; 0 where no answer came. */
  readonly status: number;
  /** Envoy's response flags, e.g. `["UF"]`. */
  readonly flags: readonly string[];
  /** Downstream connection, so that one broken client is not taken for many. */
  readonly connection: string;
  /** How many attempts it stands for; absent: itself alone. See {@link primarySample}. */
  readonly times?: number;
}

/** Cumulative counts of one proxy for one arm. Lost, late or repeated windows are therefore harmless. */
export interface Window {
  readonly kind: "window";
  readonly source: Source;
  readonly seq: number;
  /** Epoch milliseconds, by the proxy's clock. */
  readonly at: number;
  readonly arm: Arm;
  /** `client`: per attempt, seen by the callers' proxies. `destination`: per request, seen by the workload's own. */
  readonly side: "client" | "destination";
  /** Which half of the workload's pods, by hash of the pod's UID: the dispersion is measured between halves. */
  readonly half: 0 | 1;
  readonly requests: number;
  readonly failed: number;
  /** Cumulative counts per upper bound of {@link bucketBounds}, the last beyond all; same length + 1. */
  readonly buckets: readonly number[];
  readonly connections: number;
  /** Of the canary's failed attempts on the client side, those whose users the primary answered; absent: no shield. */
  readonly rescued?: number;
  /** Likewise those whose users met a failure all the same: the primary failed as well, or could not be asked. */
  readonly notRescued?: number;
}

/** Upper bounds of the latency buckets, milliseconds: Istio's, which are Envoy's default. */
export const bucketBounds = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;

/** Data that will not come: a histogram flush was missed, so latency is not known for this time. */
export interface Gap {
  readonly kind: "gap";
  readonly source: Source;
  readonly from: number;
  readonly to: number;
}

/** Holds a canary's destinations at weight 0 in every proxy, whatever the stored route says. */
export interface Cut {
  readonly kind: "cut";
  readonly id: string;
  readonly canaryUid: string;
  readonly run: string;
  readonly revision: string;
  readonly route: Run["route"];
  readonly canaryDestinations: readonly string[];
  readonly primaryDestination: string;
  readonly reason: string;
  /** Epoch milliseconds. Ends by a stored route with the same id in its rollback mark, by another revision, or by a person's action newer than this. */
  readonly at: number;
}

export type Signal = Attempt | Window | Gap | Cut;

export interface ReplicaHealth {
  readonly replica: string;
  readonly proxies: number;
  /** Epoch milliseconds. */
  readonly lastSeen: number;
}

/** What the mesh's proxies see of one run, and the one thing that a judge may make them do. */
export interface Signals {
  /** Signals of a run from now on. Ends when the consumer returns or `signal` aborts. */
  watch(run: Run, signal?: AbortSignal): AsyncIterable<Signal>;
  /** The windows of the last `seconds`, oldest first: the primary's past gives tau and phi. */
  history(run: Run, seconds: number): Promise<readonly Window[]>;
  /** Lower-only. Repeated each second until released; replayed to a proxy that connects. */
  cut(cut: Cut): Promise<{ readonly held: number; readonly of: number }>;
  release(id: string): Promise<void>;
  health(): readonly ReplicaHealth[];
}
