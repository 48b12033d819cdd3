import { customStages, type Evaluate, evaluator } from "../evaluate/evaluate.ts";
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
  readonly refusedBy: Verdict["refusedBy"];
  readonly audited: boolean;
  readonly dryRun: Verdict["dryRun"];
  /** Claims that policies saw; null for an anonymous request. */
  readonly claims: Readonly<Record<string, unknown>> | null;
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

const noDryRun = { allow: undefined, deny: undefined };

/** Makes the decider of a workload, compiled for the protocol of the requests. */
export function decider(policy: WorkloadPolicy, mode: PathNormalization): Decide {
  const evaluate: Evaluate = evaluator(policy);
  const stagesFor = customStages(policy);
  return (wire, known) => {
    const closed = wire.protocol === "tcp" ? 0 : undefined;
    const refused = (status: number, reason: string, matched: string | null = null): Decision => ({
      decision: "deny",
      status: closed ?? status,
      matched,
      reason,
      refusedBy: null,
      audited: false,
      dryRun: noDryRun,
      claims: null,
      upstream: undefined,
    });
    const received = receive(wire, mode);
    if ("status" in received) return refused(received.status, received.reason, received.rule);
    const start: PolicyRequest = {
      ...received.request,
      claims: known.claims,
      ...(known.metadata && { metadata: known.metadata }),
    };
    for (const { rule, stage } of stagesFor(start)) {
      const answer = askStage(policy.custom[stage], start, known.ask);
      if (answer === undefined) return refused(403, `rbac_access_denied_matched_policy[${rule}]`, rule);
      if (answer !== 200) return refused(answer, "ext_authz_denied");
    }
    const authenticated = passTokens(policy, start, known.now);
    if ("reason" in authenticated) return refused(authenticated.status, authenticated.reason);
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
      audited: verdict.audited,
      dryRun: verdict.dryRun,
      claims: request.claims ?? null,
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
