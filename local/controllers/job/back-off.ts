import type { Pod } from "../../../api/core.ts";

const first = 10_000;
const most = 600_000;

/**
 * Until when no pod is made after failures, epoch milliseconds: 10 s after the first, doubled with each, at most 10 min.
 *
 * @param failed how many failed in all; a success later than the last failure ends the waiting
 */
export function backOffUntil(pods: readonly Pod[], failed: number): number {
  if (failed === 0) return 0;
  const endsOf = (phase: string) => pods.filter(({ status }) => status?.phase === phase).map(endedAt);
  const lastFailure = Math.max(0, ...endsOf("Failed"));
  if (lastFailure === 0 || Math.max(0, ...endsOf("Succeeded")) > lastFailure) return 0;
  return lastFailure + Math.min(first * 2 ** (failed - 1), most);
}

function endedAt({ status }: Pod): number {
  const times = (status?.containerStatuses ?? []).map(({ state }) =>
    Date.parse(state?.terminated?.finishedAt ?? ""),
  );
  return Math.max(0, ...times.filter((at) => !Number.isNaN(at)));
}
