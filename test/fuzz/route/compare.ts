/** Whether what a real Envoy did is what was explained. */
import type { Explanation } from "../../../mesh/explain/explanation.ts";
import type { RouteRequest } from "../../../mesh/explain/request.ts";
import { authorityOf } from "../../../mesh/explain/request.ts";
import type { Answer } from "./ask.ts";
import type { LogLine } from "./log.ts";
import type { Meant } from "./reference.ts";
import type { Arrived } from "./upstream.ts";

export interface Observed {
  readonly answer: Answer;
  readonly line: LogLine | undefined;
  readonly arrivals: readonly Arrived[];
}

/** Everything in which the two differ, in words. */
export function differences(
  request: RouteRequest,
  explained: Explanation,
  observed: Observed,
): readonly string[] {
  if (request.scheme !== "http") return differencesOfBytes(explained, observed);
  const { line, answer } = observed;
  if (line === undefined) return ["the access log has no line of it"];
  const wrong: string[] = [];
  const same = (what: string, mine: string | number, theirs: string | number) => {
    if (mine !== theirs) wrong.push(`${what}: explained ${mine || "none"}, is ${theirs || "none"}`);
  };
  same("virtual host", explained.virtualHost ?? "", line.virtualHost);
  same("route", explained.route ?? "", line.route);
  const { filterChain } = explained;
  same(
    "filter chain",
    filterChain === null || /^(#\d+|default)$/.test(filterChain) ? "" : filterChain,
    line.filterChain,
  );
  const abort = explained.fault?.abort;
  if (line.details === "fault_filter_abort") {
    same("fault", abort?.share ? abort.status : "none", answer.status);
    return wrong;
  }
  if (abort?.share === 1) return [...wrong, `fault: explained ${abort.status}, is ${line.details}`];
  if (explained.directResponse !== null) same("answer", explained.directResponse.status, answer.status);
  else if (explained.redirect !== null) {
    same("redirect", explained.redirect.status, answer.status);
    same("location", explained.redirect.location, answer.location);
  } else if (explained.route === null) same("no route", 404, answer.status);
  else wrong.push(...differencesOfForward(request, explained, observed, line));
  return wrong;
}

function differencesOfForward(
  request: RouteRequest,
  explained: Explanation,
  { answer, arrivals }: Observed,
  line: LogLine,
): string[] {
  const wrong: string[] = [];
  const same = (what: string, mine: string | number, theirs: string | number) => {
    if (mine !== theirs) wrong.push(`${what}: explained ${mine || "none"}, is ${theirs || "none"}`);
  };
  const taking = explained.weights.filter(({ share }) => share > 0).map(({ cluster }) => cluster);
  // A cluster that is not there has no name in the log.
  const missing = line.details === "cluster_not_found";
  if (!missing && !taking.includes(line.cluster))
    wrong.push(`cluster: explained ${taking.join(" or ")}, is ${line.cluster || line.details}`);
  if (missing)
    return /holds no such cluster/.test(explained.reason) || taking.length > 1
      ? []
      : ["cluster: explained, and not there"];
  // Where it leads is not ours: nobody answers there.
  if (line.cluster === "PassthroughCluster") return wrong;
  const endpoints = explained.endpoints.filter(({ cluster }) => cluster === line.cluster);
  if (endpoints.length === 0) {
    same("answer of no endpoints", 503, answer.status);
    return wrong;
  }
  const addresses = endpoints.map(({ address, port }) => `${address}:${port}`);
  if (!addresses.includes(line.upstream))
    wrong.push(`endpoint: explained ${addresses.join(" or ")}, is ${line.upstream}`);
  const own = arrivals.filter(({ address }) => endpoints.some((endpoint) => endpoint.address === address));
  const [first] = own;
  if (first === undefined) return [...wrong, "no endpoint saw it"];
  same("path", explained.rewrite?.path ?? request.path, first.path);
  same("authority", explained.rewrite?.authority ?? authorityOf(request), first.authority);
  same("timeout", expectedTimeout(explained), first.timeout);
  wrong.push(...differencesOfCopies(explained, arrivals, line, own.length, request));
  return wrong;
}

/** Attempts, and copies to mirrors that no weight leads to. */
function differencesOfCopies(
  explained: Explanation,
  arrivals: readonly Arrived[],
  line: LogLine,
  attempts: number,
  request: RouteRequest,
): string[] {
  const wrong: string[] = [];
  const mirrored = explained.mirrors.flatMap(({ cluster, share }) => (share > 0 ? [cluster] : []));
  const others = arrivals.length - attempts;
  if (mirrored.length === 0 && others > 0) wrong.push(`mirrors: explained none, ${others} copies came`);
  if (mirrored.length === 0) {
    const wanted = Number(request.headers.find(([name]) => name === "x-answer")?.[1] ?? 200);
    const expected = 1 + (isRetried(explained, wanted) ? (explained.retries?.attempts ?? 0) : 0);
    if (attempts !== expected && line.status === wanted)
      wrong.push(`attempts: explained ${expected}, are ${attempts}`);
  }
  return wrong;
}

/** Envoy tells its upstream the shorter of the two. */
function expectedTimeout({ timeout, retries }: Explanation): number {
  const each = retries?.perTryTimeout ?? 0;
  return each > 0 && (timeout === null || each < timeout) ? each : (timeout ?? 0);
}

/** @see envoy router: x-envoy-retry-on */
function isRetried({ retries }: Explanation, status: number): boolean {
  const on = new Set(retries?.on.split(",") ?? []);
  if (on.has("5xx") && status >= 500) return true;
  if (on.has("gateway-error") && status >= 502 && status <= 504) return true;
  if (on.has("retriable-4xx") && status === 409) return true;
  return on.has("retriable-status-codes") && retries?.statusCodes.includes(status) === true;
}

function differencesOfBytes(explained: Explanation, { answer }: Observed): readonly string[] {
  const addresses = explained.endpoints.map(({ address }) => address);
  if (explained.cluster === null)
    return answer.answeredBy === "" ? [] : [`bytes: explained closed, went to ${answer.answeredBy}`];
  return addresses.includes(answer.answeredBy)
    ? []
    : [`bytes: explained ${addresses.join(" or ")}, went to ${answer.answeredBy || "nobody"}`];
}

/** Whether the route is the one that the manifests mean. */
export function differencesFromMeant(meant: Meant, { virtualHost, route }: Explanation): readonly string[] {
  if (virtualHost === null || virtualHost === "allow_any")
    return meant === undefined ? [] : ["a table is meant, none was found"];
  const wanted = meant === undefined ? "default" : meant === "no route" ? "" : meant.route;
  return wanted === (route ?? "")
    ? []
    : [`the manifests mean route ${wanted || "none"}, explained is ${route ?? "none"}`];
}
