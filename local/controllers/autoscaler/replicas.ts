/** The least change that moves anything: 10 %, as kube-controller-manager's default. */
const tolerance = 0.1;

/** One pod of the target, as a metric sees it. */
export interface MeasuredPod {
  /** Of the metric's unit; undefined where nothing was measured yet. */
  readonly usage: number | undefined;
  /** What it asks for, in the same unit: for a target in percent. */
  readonly request: number;
  /** Not ready yet, or measured before it was: what it uses says nothing. */
  readonly unready: boolean;
}

/** What a metric's target says: a share of the requests (0.8 for 80 %), or an amount for each pod. */
export type Target =
  | { readonly kind: "utilization"; readonly share: number }
  | { readonly kind: "average-value"; readonly amount: number };

export interface Proposal {
  readonly replicas: number;
  /** Of the pods that were measured: share of requests, and amount for each. */
  readonly utilization: number;
  readonly average: number;
}

/**
 * How many replicas a metric asks for; undefined where no pod was measured.
 *
 * Pods without a figure count so that they dampen the change: as idle on the way up, as full on the way down.
 * @see GetResourceReplicas of kube-controller-manager's replica calculator
 */
export function proposeReplicas(
  pods: readonly MeasuredPod[],
  target: Target,
  current: number,
): Proposal | undefined {
  const measured = pods.flatMap(({ usage, unready, request }) =>
    usage === undefined || unready ? [] : [{ usage, request }],
  );
  if (measured.length === 0) return undefined;
  const utilization = ratio(measured);
  const average = total(measured) / measured.length;
  const ratioOf = (list: readonly { usage: number; request: number }[]) =>
    target.kind === "utilization" ? ratio(list) / target.share : total(list) / list.length / target.amount;
  const first = ratioOf(measured);
  const answer = (replicas: number): Proposal => ({ replicas, utilization, average });

  const missing = pods.filter(({ usage, unready }) => usage === undefined && !unready);
  const unready = pods.filter((pod) => pod.unready);
  const upWithUnready = unready.length > 0 && first > 1;
  if (missing.length === 0 && !upWithUnready) {
    return answer(isNear(first) ? current : Math.ceil(first * measured.length));
  }
  const full = (request: number) =>
    target.kind === "utilization" ? request * Math.max(1, target.share) : target.amount;
  const assumed = [
    ...measured,
    ...missing.map(({ request }) => ({ usage: first < 1 ? full(request) : 0, request })),
    ...(upWithUnready ? unready.map(({ request }) => ({ usage: 0, request })) : []),
  ];
  const second = ratioOf(assumed);
  const turned = (first < 1 && second > 1) || (first > 1 && second < 1);
  if (isNear(second) || turned) return answer(current);
  const replicas = Math.ceil(second * assumed.length);
  const backwards = (second < 1 && replicas > current) || (second > 1 && replicas < current);
  return answer(backwards ? current : replicas);
}

function isNear(found: number): boolean {
  return Math.abs(1 - found) <= tolerance;
}

function total(list: readonly { readonly usage: number }[]): number {
  return list.reduce((sum, { usage }) => sum + usage, 0);
}

function ratio(list: readonly { readonly usage: number; readonly request: number }[]): number {
  const requested = list.reduce((sum, { request }) => sum + request, 0);
  return requested === 0 ? 0 : total(list) / requested;
}
