import { PodKind } from "../../api/core.ts";
import { AuthorizationPolicyKind } from "../../api/kinds.ts";
import { strictRule } from "../../policy/edge/receive.ts";
import { evaluator } from "../../policy/evaluate/evaluate.ts";
import type { PolicyRequest } from "../../policy/evaluate/request.ts";
import { type NearMiss, nearestOf, whyNobody, wordMiss } from "../../policy/explain/explain.ts";
import { readRuleId } from "../../policy/explain/rule-id.ts";
import { paint } from "../output/colour.ts";
import type { Denial } from "./denials.ts";
import { compileFor } from "./in-force.ts";
import type { Scope } from "./scope.ts";
import { findTarget } from "./workload.ts";

/** Why a request was denied, as far as the sidecar's log and the policies of now tell. */
export interface DenialExplanation {
  readonly denial: Denial;
  /** Id of the rule that refused; null where none did. */
  readonly rule: string | null;
  readonly because: string;
  /** The ALLOW rule of now that lacked least; what it wants of headers and tokens is not known to be missing. */
  readonly nearest: NearMiss | null;
  readonly notes: readonly string[];
}

/** What a sidecar's log does not hold, so that nobody can say whether a request had it. */
const notRecorded = /^(request\.headers|request\.auth|requestPrincipals|experimental|connection\.sni)/;

/**
 * Matches a denial to the rule that refused it. Where no ALLOW rule matched, the policies of now say which came nearest.
 *
 * @param scope of the pod's namespace
 */
export function explainDenial(denial: Denial, scope: Scope): DenialExplanation {
  const told = readDetails(denial.details);
  const without = (because: string, rule: string | null = null, notes: readonly string[] = []) => ({
    denial,
    rule,
    because,
    nearest: null,
    notes,
  });
  if (told.kind === "rule") {
    if (told.rule === strictRule)
      return without("path normalization STRICT refused its path or host", told.rule);
    return without(...wordRule(told.rule, scope));
  }
  if (told.kind === "other") return without(told.because);
  const gone = "the pod is gone, so nobody can say which rule came nearest";
  if (scope.snapshot.get(PodKind, denial.namespace, denial.pod) === undefined)
    return without("no ALLOW rule matched", null, [gone]);
  const target = findTarget(scope.snapshot, { namespace: denial.namespace, kind: "pod", name: denial.pod });
  const { policy } = compileFor(scope, target, protocolOf(denial));
  const request = requestOf(denial);
  const nearest = nearestOf(policy.allow.rules, request);
  const changed = !policy.allow.present || evaluator(policy)(request).refusedBy !== "allow";
  const guessed = nearest?.misses.some(({ field }) => notRecorded.test(field));
  return {
    denial,
    rule: null,
    because: changed ? "no ALLOW rule matched" : whyNobody(policy.allow.rules.length),
    nearest: nearest ?? null,
    notes: [
      ...(changed ? ["the policies have changed since: they would not refuse it so today"] : []),
      ...(guessed
        ? ["headers and tokens are not recorded: whether the request had them nobody can say"]
        : []),
    ],
  };
}

type Told =
  | { readonly kind: "rule"; readonly rule: string }
  | { readonly kind: "nobody" }
  | { readonly kind: "other"; readonly because: string };

/** Reads Envoy's response code details, in which blanks are written as `_`. */
function readDetails(details: string): Told {
  const rule = /^rbac_access_denied_matched_policy\[(.*)\]$/.exec(details)?.[1];
  if (rule === "none") return { kind: "nobody" };
  if (rule !== undefined) return { kind: "rule", rule };
  const token = /^jwt_authn_access_denied\{(.*)\}$/.exec(details)?.[1];
  if (token !== undefined)
    return { kind: "other", because: `its token was refused: ${token.replaceAll("_", " ")}` };
  if (details === "ext_authz_error")
    return { kind: "other", because: "an external authorizer of a CUSTOM policy could not be asked" };
  if (details.startsWith("ext_authz"))
    return { kind: "other", because: "an external authorizer of a CUSTOM policy refused it" };
  return { kind: "other", because: `the proxy says: ${details}` };
}

function wordRule(id: string, { snapshot }: Scope): [string, string, string[]] {
  const named = readRuleId(id);
  if (named === undefined) return [`rule \`${id}\` refused it`, id, []];
  const { namespace, policy: name, index } = named;
  const policy = snapshot.get(AuthorizationPolicyKind, namespace, name);
  const action = policy?.spec?.action ?? (id.includes("istio-ext-authz") ? "CUSTOM" : "DENY");
  const notes =
    policy === undefined
      ? [`AuthorizationPolicy ${namespace}/${name} is gone by now`]
      : policy.spec?.rules?.[index] === undefined
        ? [`AuthorizationPolicy ${namespace}/${name} has changed since: it has no rule ${index} any more`]
        : [`AuthorizationPolicy ${namespace}/${name}, /spec/rules/${index}`];
  return [`${action} rule \`${id}\` matched`, id, notes];
}

/** A line about a connection names no method. */
function protocolOf({ method }: Denial): "http" | "tcp" {
  return method === "" ? "tcp" : "http";
}

function requestOf(denial: Denial): PolicyRequest {
  const [, ip = "", port = "0"] = /^\[?(.*?)\]?:(\d+)$/.exec(denial.destination) ?? [];
  return {
    protocol: protocolOf(denial),
    method: denial.method,
    path: denial.path,
    host: denial.host,
    headers: new Map(),
    sourceIp: denial.source,
    remoteIp: denial.client,
    identities: denial.principal === "" ? undefined : [denial.principal, ""],
    sni: "",
    destination: { ip, port: Number(port) },
    claims: undefined,
  };
}

/** An explanation for a terminal. */
export function wordDenial({ denial, because, nearest, notes }: DenialExplanation): string {
  const { time, method, path, host, status, namespace, pod } = denial;
  const { principal, source, destination, requestId } = denial;
  const caller = principal === "" ? `${source}, without a certificate` : `${principal} (${source})`;
  return [
    `${paint("red", `denied (${status === 0 ? "connection closed" : status})`)}: ${because}`,
    ...(nearest ? [`nearest: \`${nearest.rule}\`, which lacks`] : []),
    ...(nearest?.misses ?? []).map((miss) =>
      notRecorded.test(miss.field)
        ? `  ${wordMiss({ ...miss, got: "what was not recorded" })}`
        : `  ${wordMiss(miss)}`,
    ),
    paint("dim", `${time} ${method === "" ? `connection to ${destination}` : `${method} ${host}${path}`}`),
    paint(
      "dim",
      `${caller} to pod ${namespace}/${pod}${requestId === "" ? "" : `, request id ${requestId}`}`,
    ),
    ...notes.map((note) => `note: ${note}`),
  ].join("\n");
}
