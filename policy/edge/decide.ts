import { type Asked, customStages, type Evaluate, evaluator } from "../evaluate/evaluate.ts";
import type { PolicyRequest, Verdict } from "../evaluate/request.ts";
import { authenticate, claimHeaders, isPreflight } from "../jwt/authenticate.ts";
import { dropParameter } from "../jwt/query.ts";
import type { Authorizer, CustomStage, WorkloadPolicy } from "../model.ts";
import type { PathNormalization } from "../path/normalize.ts";
import { receive, type WireRequest } from "./receive.ts";

/** What an external authorizer says: 200 lets the request on, any other status is the answer. */
export type Ask = (authorizer: Authorizer, request: PolicyRequest) => number;

/** What becomes of a request, from the first byte to the upstream. */
export interface Decision {
  readonly decision: "allow" | "deny";
  /** Answered to the client; 200 where the upstream is asked, 0 where a connection is closed. */
  readonly status: number;
  readonly matched: string | null;
  readonly reason: string;
  /** Who refused it; `edge`: Envoy itself, before any policy. Null where it is allowed, or could not be sent on. */
  readonly refusedBy: "edge" | "authorizer" | "token" | Verdict["refusedBy"];
  /** The external authorizers that were asked, in order; the last one's answer stands where it refused. */
  readonly asked: readonly Asked[];
  readonly audited: boolean;
  readonly dryRun: Verdict["dryRun"];
  /** Claims that policies saw; null for an anonymous request. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  /** The request as AUDIT, DENY and ALLOW policies saw it; undefined where they were not reached. */
  readonly seen: PolicyRequest | undefined;
  /** What the upstream gets; undefined where it is not asked. */
  readonly upstream: PolicyRequest | undefined;
}

/** What is known of a request besides its bytes. */
export interface Known {
  /** Claims of a token that was verified before. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly ask: Ask;
}

/** Decides requests at one workload: what Envoy refuses by itself, CUSTOM, tokens, AUDIT, DENY, ALLOW, in that order. */
export type Decide = (wire: WireRequest, known: Known) => Decision;

/** `rule`: the one that refused, where one did. */
interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly rule?: string;
}

const noDryRun = { allow: undefined, deny: undefined };

/** Makes the decider of a workload, compiled for the protocol of the requests. */
export function decider(policy: WorkloadPolicy, mode: PathNormalization): Decide {
  const evaluate: Evaluate = evaluator(policy);
  const stagesFor = customStages(policy);
  return (wire, known) => {
    const closed = wire.protocol === "tcp" ? 0 : undefined;
    const refused = (
      refusedBy: Decision["refusedBy"],
      { status, reason, rule }: Refusal,
      asked: readonly Asked[] = [],
    ): Decision => ({
      decision: "deny",
      status: closed ?? status,
      matched: rule ?? null,
      reason,
      refusedBy,
      asked,
      audited: false,
      dryRun: noDryRun,
      claims: null,
      seen: undefined,
      upstream: undefined,
    });
    const received = receive(wire, mode);
    if ("status" in received) return refused("edge", received);
    const start: PolicyRequest = {
      ...received.request,
      claims: known.claims,
      ...(known.metadata && { metadata: known.metadata }),
    };
    const asked = stagesFor(start);
    for (const [index, { rule, stage }] of asked.entries()) {
      const answer = askStage(policy.custom[stage], start, known.ask);
      if (answer === 200) continue;
      const refusal =
        answer === undefined
          ? { status: 403, reason: `rbac_access_denied_matched_policy[${rule}]`, rule }
          : { status: answer, reason: "ext_authz_denied" };
      return refused("authorizer", refusal, asked.slice(0, index + 1));
    }
    const authenticated = passTokens(policy, start, known.now);
    if ("reason" in authenticated) return refused("token", authenticated, asked);
    const { request } = authenticated;
    const verdict = evaluate(request);
    const allowed = verdict.decision === "allow";
    // A header that cannot be sent is found out only on the way to the upstream.
    const status = allowed ? (authenticated.invalidHeader ? 503 : 200) : 403;
    return {
      decision: status === 200 ? "allow" : "deny",
      status: allowed ? status : (closed ?? status),
      matched: verdict.matched,
      reason: allowed ? "" : `rbac_access_denied_matched_policy[${verdict.matched ?? "none"}]`,
      refusedBy: verdict.refusedBy,
      asked,
      audited: verdict.audited,
      dryRun: verdict.dryRun,
      claims: request.claims ?? null,
      seen: request,
      upstream: status === 200 ? request : undefined,
    };
  };
}

/** What a stage's authorizer says; undefined where its policies cannot be carried out. */
function askStage(stage: CustomStage | undefined, request: PolicyRequest, ask: Ask): number | undefined {
  return stage?.authorizer && ask(stage.authorizer, request);
}

/** A request after its tokens were looked at: claims known, tokens and forged headers gone, claims in headers. */
function passTokens(
  { jwt }: WorkloadPolicy,
  request: PolicyRequest,
  now: number,
):
  | { readonly request: PolicyRequest; readonly invalidHeader: boolean }
  | { readonly status: number; readonly reason: string } {
  if (jwt.length === 0 || isPreflight(request.method, request.headers))
    return { request, invalidHeader: false };
  const headers = new Map(request.headers);
  for (const { payloadHeader, claimHeaders: written } of jwt) {
    if (payloadHeader !== undefined) headers.delete(payloadHeader.toLowerCase());
    for (const { header } of written) headers.delete(header.toLowerCase());
  }
  const answer = authenticate(jwt, { path: request.path, headers }, now);
  if (answer.kind === "refused") return answer;
  if (answer.kind === "anonymous") return { request: { ...request, headers }, invalidHeader: false };
  let { path } = request;
  for (const { carried, rule } of answer.accepted) {
    if (rule.forward) continue;
    if (carried.at.kind === "header") headers.delete(carried.at.name);
    if (carried.at.kind === "param") path = dropParameter(path, carried.at.name);
  }
  const written = claimHeaders(answer.accepted);
  const invalidHeader = "invalid" in written;
  for (const [name, value] of invalidHeader ? [] : written)
    headers.set(name, [...(headers.get(name) ?? []), value]);
  return { request: { ...request, path, headers, claims: answer.claims }, invalidHeader };
}
