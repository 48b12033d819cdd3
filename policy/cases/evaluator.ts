import { checkPolicy } from "../admission/check.ts";
import { type Ask, type Decision, decider } from "../edge/decide.ts";
import type { PolicyRequest } from "../evaluate/request.ts";
import type { Authorizer } from "../model.ts";
import { normalizePath } from "../path/normalize.ts";
import type { AdmissionAnswer, CaseAnswer, NormalizeAnswer } from "./answer.ts";
import { compileCase, meshOf } from "./compile.ts";
import type { Case } from "./read.ts";
import type { KeyRing } from "./token.ts";
import { wireOf } from "./wire.ts";

/** What our evaluator makes of a case about a request. `now` in epoch seconds. */
export function evaluateCase(one: Case, keys: KeyRing, now: number): CaseAnswer {
  const { policy } = compileCase(one, keys);
  const { request = {} } = one;
  const decide = decider(policy, meshOf(one).pathNormalization);
  const decision = decide(wireOf(one, keys, now).wire, {
    ...(request.jwt && { claims: request.jwt }),
    ...(request.metadata && { metadata: request.metadata }),
    now: now * 1000,
    ask: providerOf(one),
  });
  return {
    decision: decision.decision,
    status: decision.status,
    // Envoy says nothing of the rule that let a TCP connection in.
    matched: request.protocol === "tcp" && decision.decision === "allow" ? null : decision.matched,
    audited: decision.audited,
    shadow: shadowOf(decision),
    claims: request.jwt ? (decision.claims ?? request.jwt) : decision.claims,
    upstreamHeaders: decision.upstream ? headersOf(decision.upstream) : null,
    reason: decision.reason,
  };
}

/** Of a case about paths: what becomes of each. */
export function normalizeCase(one: Case): NormalizeAnswer {
  const { pathNormalization } = meshOf(one);
  return {
    paths: (one.pairs ?? []).map(([sent]) => {
      const normalized = normalizePath(sent, pathNormalization);
      return "path" in normalized ? normalized.path : normalized.status;
    }),
  };
}

/** Of a case about admission: whether its policies may be stored. */
export function admitCase({ policies = [] }: Case): AdmissionAnswer {
  const problems = policies.flatMap((policy) => checkPolicy(policy));
  const word = ({ field, message }: { readonly field: string; readonly message: string }) =>
    `${field} ${message}`;
  const errors = problems.filter(({ severity }) => severity !== "warning").map(word);
  const warnings = problems.filter(({ severity }) => severity === "warning").map(word);
  return { admission: errors.length > 0 ? "reject" : "accept", errors, warnings };
}

/** The provider of cases: it lets in exactly what carries `x-ext-authz: allow`, as far as it is shown that header. */
function providerOf({ mesh = {} }: Case): Ask {
  return (authorizer, request) => {
    if (mesh.unreachableProviders?.includes(authorizer.name))
      return authorizer.failOpen ? 200 : authorizer.statusOnError;
    return shownHeader(authorizer, request) === "allow" ? 200 : 403;
  };
}

function shownHeader(authorizer: Authorizer, { headers }: PolicyRequest): string | undefined {
  const name = "x-ext-authz";
  const added = Object.entries(authorizer.addedHeaders).find(([key]) => key.toLowerCase() === name)?.[1];
  if (added !== undefined) return added;
  const shown =
    authorizer.protocol === "grpc" || authorizer.requestHeaders.some((pattern) => fits(pattern, name));
  return shown ? headers.get(name)?.join(",") : undefined;
}

function fits(pattern: string, name: string): boolean {
  const lower = pattern.toLowerCase();
  if (lower.startsWith("*")) return name.endsWith(lower.slice(1));
  return lower.endsWith("*") ? name.startsWith(lower.slice(0, -1)) : name === lower;
}

/**
 * What Envoy leaves as dynamic metadata. A filter that refuses leaves none, and those behind it are not reached; its
 * counters say the rest.
 */
function shadowOf({ dryRun, refusedBy }: Decision): Record<string, string> {
  const shadow: Record<string, string> = {};
  for (const action of ["allow", "deny"] as const) {
    const noted = refusedBy === "deny" || refusedBy === action ? undefined : dryRun[action];
    if (noted === undefined) continue;
    shadow[`istio_dry_run_${action}_shadow_engine_result`] = noted.result;
    if (noted.matched !== null) shadow[`istio_dry_run_${action}_shadow_effective_policy_id`] = noted.matched;
  }
  return shadow;
}

function headersOf(request: PolicyRequest): Record<string, readonly string[]> {
  return {
    ...Object.fromEntries(request.headers),
    host: [request.host],
    ":path": [request.path],
    ":method": [request.method],
    ":authority": [request.host],
  };
}
