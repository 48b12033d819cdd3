/**
 * The built-in queries of a shielded canary. A rescued request is an answer of the primary in every count of requests,
 * and one that was given up is none at all where it arrived: so the callers' proxies count attempts
 * (`fairlead_attempts_total`, `fairlead_attempt_duration_milliseconds`), the first at the canary. Where the canary has no
 * pod that is the primary's: a failure. Requests of methods that the shield leaves alone are in the destination's count,
 * as Flagger reads it: the worse of both is taken.
 */
import type { istioQueries } from "./istio.ts";

/** Cluster of the canary's Service behind the shield, e.g. `shield|80||shop-canary.demo.svc.cluster.local`. */
const shield = 'attempt="1",shield=~"shield[|].*[|]{{ service }}-canary[.]{{ namespace }}[.].*"';
const own = 'destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}"';
const first = `${shield},${own}`;
const arrived = `reporter="destination",${own}`;

/** Failed: status 5xx, none, or a gRPC status that is the server's failure. */
const answered = 'response_code!~"5.*|0",grpc_response_status!~"2|4|8|12|13|14|15"';

/** Percent of `all` that is `good`: 0, not nothing, where none is. `by` keeps the two counts apart. */
function percent(by: string, good: readonly string[], all: readonly string[]): string {
  const sum = (series: readonly string[]): string =>
    `sum by (${by}) (${series.map((one) => `rate(${one}[{{ interval }}])`).join(" or ")})`;
  return `(${sum(good)} or ${sum(all)} * 0) / ${sum(all)} * 100`;
}

function p99(by: string, series: string): string {
  return `histogram_quantile(0.99, sum by (le, ${by}) (rate(${series}[{{ interval }}])))`;
}

export const shieldQueries = {
  "request-success-rate": `min((${percent(
    "attempt",
    [`fairlead_attempts_total{${first},${answered}}`],
    // A client that gave up before any answer, which has no flag, tells nothing.
    [
      `fairlead_attempts_total{${shield},response_code!="0"}`,
      `fairlead_attempts_total{${shield},response_code="0",response_flags!~"-?"}`,
    ],
  )}) or (${percent(
    "reporter",
    [`istio_requests_total{${arrived},response_code!~"5.*"}`],
    [`istio_requests_total{${arrived}}`],
  )}))`,
  "request-duration": `max(${p99(
    "attempt",
    `fairlead_attempt_duration_milliseconds_bucket{${first}}`,
  )} or ${p99("reporter", `istio_request_duration_milliseconds_bucket{${arrived}}`)})`,
} as const satisfies Record<keyof typeof istioQueries, string>;

/**
 * Why a query of the author's says less behind a shield; undefined where it says the same. Of requests that arrived at
 * the canary the failed ones are failed all the same; on the callers' side they are the primary's answers.
 */
export function shieldWarning(query: string): string | undefined {
  if (!/\bistio_request/.test(query) || /reporter=~?"destination"/.test(query)) return undefined;
  return 'counts the callers\' requests, where a rescued one is answered: ask `fairlead_attempts_total`, or the side of reporter="destination"';
}
