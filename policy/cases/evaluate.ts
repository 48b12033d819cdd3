import { type Compiled, compilePolicies } from "../compile/compile.ts";
import { defaultMesh } from "../compile/mesh.ts";
import { authenticate, type CarriedToken } from "../evaluate/authenticate.ts";
import { evaluator } from "../evaluate/evaluate.ts";
import type { Case, CaseToken } from "./read.ts";
import { authenticationOf, type KeyRing, makeToken } from "./token.ts";

export interface CaseAnswer {
  readonly decision: "allow" | "deny";
  readonly status: number;
  readonly matched: string | null;
  readonly claims: Readonly<Record<string, unknown>> | null;
}

/** The policies of a case, compiled for its workload. */
export function compileCase(one: Case, keys: KeyRing): Compiled {
  const authentication = authenticationOf(one, keys);
  return compilePolicies(
    {
      authorization: one.policies ?? [],
      authentication: authentication === undefined ? [] : [authentication],
    },
    one.workload ?? { namespace: "foo", labels: { app: "httpbin" } },
    {
      trustDomain: one.mesh?.trustDomain ?? defaultMesh.trustDomain,
      trustDomainAliases: one.mesh?.trustDomainAliases ?? [],
      rootNamespace: one.mesh?.rootNamespace ?? defaultMesh.rootNamespace,
    },
    one.request?.protocol ?? "http",
  );
}

/** Where a case's token travels. */
export function carried(token: CaseToken, text: string): CarriedToken {
  const place = token.in;
  if (place?.param !== undefined) return { token: text, in: { kind: "param", name: place.param } };
  if (place?.cookie !== undefined) return { token: text, in: { kind: "cookie", name: place.cookie } };
  return {
    token: text,
    in: { kind: "header", name: place?.header ?? "authorization", prefix: place?.prefix ?? "Bearer " },
  };
}

/** What the evaluator makes of a case. `now` in epoch seconds. */
export async function evaluateCase(one: Case, keys: KeyRing, now: number): Promise<CaseAnswer> {
  const { policy } = compileCase(one, keys);
  const request = one.request ?? {};
  let claims = request.jwt;
  const preflight =
    request.method === "OPTIONS" &&
    ["origin", "access-control-request-method"].every((name) =>
      request.headers?.some(([header]) => header.toLowerCase() === name),
    );
  if (request.tokens && !preflight) {
    const tokens = request.tokens.map((token) => carried(token, makeToken(token, keys, now)));
    const answer = await authenticate(policy.jwt, tokens, now * 1000);
    if (answer.kind === "refused") return { decision: "deny", status: 401, matched: null, claims: null };
    if (answer.kind === "verified") claims = answer.claims;
  }
  const headers = new Map<string, string>();
  for (const [name, value] of request.headers ?? []) {
    const key = name.toLowerCase();
    const before = headers.get(key);
    headers.set(key, before === undefined ? value : `${before},${value}`);
  }
  const principal = request.source?.principal;
  const sourceIp = request.source?.ip ?? "10.1.0.1";
  const verdict = evaluator(policy)({
    protocol: request.protocol ?? "http",
    method: request.method ?? "GET",
    path: request.path ?? "/",
    host: request.host ?? "httpbin.foo.svc.cluster.local",
    headers,
    sourceIp,
    remoteIp: sourceIp,
    principal: principal === undefined ? undefined : `spiffe://${principal}`,
    sni: request.sni,
    destination: { ip: request.destination?.ip ?? "10.1.0.2", port: request.destination?.port ?? 8080 },
    claims,
  });
  return {
    decision: verdict.decision,
    status: verdict.decision === "allow" ? 200 : 403,
    matched: verdict.matched,
    claims: claims ?? null,
  };
}
