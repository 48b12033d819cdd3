import { RequestAuthenticationKind } from "../../api/kinds.ts";
import type { Problem } from "../../api/resource.ts";
import type { MutualTlsMode } from "../../mesh/model/mutual-tls.ts";
import { type Decision, decider } from "../../policy/edge/decide.ts";
import { explainDecision, wordMiss } from "../../policy/explain/explain.ts";
import type { Miss } from "../../policy/explain/misses.ts";
import { paint } from "../output/colour.ts";
import { compileFor, mutualTlsOf } from "./in-force.ts";
import { fetchKeys } from "./keys.ts";
import { type QuestionOptions, readCaller, readClaims, readPort, wireOfQuestion } from "./question.ts";
import type { Scope } from "./scope.ts";
import type { Target } from "./workload.ts";

/** What `fairlead authz test` says. It holds no token, no query and no value of a header that carries secrets. */
export interface AuthzAnswer {
  readonly decision: "allow" | "deny";
  /** As the client gets it; 0 where its connection is closed. */
  readonly status: number;
  /** Id of the rule that decided; null where none did. */
  readonly rule: string | null;
  readonly because: string;
  /** The ALLOW rule that lacked least, where none matched. */
  readonly nearest: { readonly rule: string; readonly misses: readonly Miss[] } | null;
  readonly to: string;
  readonly from: string | null;
  readonly mutualTls: MutualTlsMode;
  readonly audited: boolean;
  readonly dryRun: Decision["dryRun"];
  /** What else there is to know. */
  readonly notes: readonly string[];
}

export interface AnswerOptions extends QuestionOptions {
  /** What external authorizers are taken to answer: none is asked. */
  readonly authorizer: "allow" | "deny";
  /** CIDR blocks that keys may be fetched from although the guard closes them. */
  readonly jwksAllow: readonly string[];
}

/** Decides a described request by the policies of its target. */
export async function answerQuestion(
  scope: Scope,
  target: Target,
  options: AnswerOptions,
): Promise<AuthzAnswer> {
  const port = readPort(options.port, target);
  const mutualTls = mutualTlsOf(scope, target, port);
  const caller = readCaller(options.from, target.namespace, scope.mesh.trustDomain);
  const known = { to: `${target.words} in ${target.namespace}`, from: caller ?? null, mutualTls };
  if (mutualTls === "STRICT" && caller === undefined) {
    const because = `mutual TLS is STRICT on port ${port}, and the caller shows no certificate: the connection is closed before any policy`;
    const unasked = { audited: false, dryRun: { allow: undefined, deny: undefined }, notes: [] };
    return { decision: "deny", status: 0, rule: null, because, nearest: null, ...known, ...unasked };
  }
  const hasToken = options.jwt !== undefined || options.header.length > 0;
  const authentication = scope.snapshot.list(RequestAuthenticationKind);
  const keysOf = hasToken ? await fetchKeys(authentication, options.jwksAllow) : undefined;
  const { policy, problems } = compileFor(scope, target, options.tcp ? "tcp" : "http", keysOf);
  const wire = wireOfQuestion(options, target, mutualTls === "DISABLE" ? undefined : caller);
  const claims = readClaims(options.claims);
  const decision = decider(policy, scope.mesh.pathNormalization)(wire, {
    ...(claims && { claims }),
    now: Date.now(),
    ask: () => (options.authorizer === "allow" ? 200 : 403),
  });
  const { because, nearest } = explainDecision(policy, decision);
  const assumed = decision.asked.flatMap(({ stage, rule }) => {
    const { provider, authorizer } = policy.custom[stage] ?? {};
    return authorizer === undefined
      ? []
      : [
          `external authorizer \`${provider}\` (rule \`${rule}\`) was not asked, and is taken to ${options.authorizer}`,
        ];
  });
  const plain =
    mutualTls === "DISABLE" && caller !== undefined
      ? ["mutual TLS is off on this port, so policies do not know the caller"]
      : [];
  return {
    decision: decision.decision,
    status: decision.status,
    rule: decision.matched,
    because,
    nearest: nearest ?? null,
    ...known,
    audited: decision.audited,
    dryRun: decision.dryRun,
    notes: [
      ...plain,
      ...assumed,
      ...wordDryRun(decision.dryRun),
      // Keys were not fetched where no token was given to verify.
      ...(hasToken ? problems : problems.filter(({ field }) => !field.startsWith("/spec/jwtRules"))).map(
        wordProblem,
      ),
    ],
  };
}

/** An answer for a terminal: what, why, what came nearest, what else. */
export function wordAnswer({ decision, status, because, nearest, to, from, notes }: AuthzAnswer): string {
  const verdict = decision === "allow" ? paint("green", "allowed") : paint("red", "denied");
  const code = status === 0 ? "connection closed" : String(status);
  return [
    `${verdict} (${code}): ${because}`,
    ...(nearest ? [`nearest: \`${nearest.rule}\`, which lacks`] : []),
    ...(nearest?.misses ?? []).map((miss) => `  ${wordMiss(miss)}`),
    paint("dim", `${from ?? "a caller without a certificate"} to ${to}`),
    ...notes.map((note) => `note: ${note}`),
  ].join("\n");
}

/** What of a resource cannot be carried out, in one line. */
export function wordProblem({ resource, field, message }: Problem): string {
  return `${resource.kind} ${resource.namespace ?? ""}/${resource.name}${field}: ${message}`;
}

function wordDryRun({ allow, deny }: Decision["dryRun"]): string[] {
  return [
    ...(deny ? [`dry-run DENY policies would say ${deny.result}${by(deny.matched)}`] : []),
    ...(allow ? [`dry-run ALLOW policies would say ${allow.result}${by(allow.matched)}`] : []),
  ];
}

function by(rule: string | null): string {
  return rule === null ? "" : ` by \`${rule}\``;
}
