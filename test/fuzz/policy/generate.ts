import type { AuthorizationPolicy } from "../../../api/kinds.ts";
import type { Case, CaseRequest, CaseToken } from "../../../policy/cases/read.ts";
import * as words from "./alphabet.ts";
import type { Random } from "./random.ts";

type Rule = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>[number];

/** A set of policies and the requests that are asked of it; each request with the set is a case. */
export interface Generated {
  readonly base: Case;
  readonly requests: readonly CaseRequest[];
}

const sources: Readonly<Record<string, readonly string[]>> = {
  principals: words.principalPatterns,
  requestPrincipals: words.requestPrincipals,
  namespaces: words.namespacePatterns,
  serviceAccounts: words.serviceAccounts,
  trustDomains: words.trustDomainPatterns,
  ipBlocks: words.ipBlocks,
  remoteIpBlocks: words.ipBlocks,
};
const operations: Readonly<Record<string, readonly string[]>> = {
  hosts: words.hostPatterns,
  ports: words.ports,
  methods: words.methodPatterns,
  paths: words.pathPatterns,
};
const conditions: Readonly<Record<string, readonly string[]>> = {
  "source.ip": words.ipBlocks,
  "remote.ip": words.ipBlocks,
  "source.namespace": words.namespacePatterns,
  "source.principal": words.principalPatterns,
  "source.serviceAccount": words.serviceAccounts,
  "source.trustDomain": words.trustDomainPatterns,
  "request.auth.principal": words.requestPrincipals,
  "request.auth.audiences": words.audiences,
  "request.auth.presenter": words.presenters,
  "destination.ip": words.destinationBlocks,
  "destination.port": words.ports,
  "connection.sni": words.serverNamePatterns,
};

/** Makes a set of policies and `count` requests. */
export function generate(random: Random, count: number): Generated {
  const protocol = random.chance(0.15) ? "tcp" : "http";
  const hasTokens = protocol === "http" && random.chance(0.45);
  const hasProvider = random.chance(0.1);
  const many = random.chance(0.06);
  const policies = Array.from({ length: many ? random.int(20, 40) : random.int(1, 4) }, (_, index) =>
    policy(random, index, hasProvider && index === 0),
  );
  const aliases = random.chance(0.3);
  const base: Case = {
    name: "fuzz",
    mesh: {
      pathNormalization: random.pick([
        "NONE",
        "BASE",
        "BASE",
        "MERGE_SLASHES",
        "DECODE_AND_MERGE_SLASHES",
        "STRICT",
      ]),
      ...(aliases && { trustDomain: "new-td", trustDomainAliases: ["old-td"] }),
      ...(hasProvider && {
        extensionProviders: [provider(random)],
        ...(random.chance(0.15) && { unreachableProviders: ["authz"] }),
      }),
    },
    policies,
    ...(hasTokens && {
      requestAuthentication: words.issuers.slice(0, random.int(1, 2)).map((issuer, index) => ({
        issuer,
        jwks: { keys: [{ ref: index === 0 ? "hmac1" : "ec1" }] },
      })),
    }),
  };
  const gateway =
    protocol === "http" && random.chance(0.15) ? { numTrustedProxies: random.int(0, 2) } : undefined;
  const requests = connections(random, protocol, count).map((connection) =>
    request(random, connection, hasTokens, gateway),
  );
  return { base, requests };
}

function provider(random: Random): object {
  const common = { service: "authz.foo.svc.cluster.local", port: 9000, failOpen: random.chance(0.3) };
  return random.chance(0.5)
    ? { name: "authz", envoyExtAuthzGrpc: common }
    : { name: "authz", envoyExtAuthzHttp: { ...common, includeRequestHeadersInCheck: ["x-ext-*"] } };
}

function policy(random: Random, index: number, custom: boolean): AuthorizationPolicy {
  const action = custom
    ? ("CUSTOM" as const)
    : random.pick(["ALLOW", "ALLOW", "ALLOW", "DENY", "DENY", "DENY", "AUDIT"] as const);
  const dryRun = !custom && random.chance(0.12);
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: {
      name: `${random.pick(["p", "q", "a-b", "z"])}${index}`,
      namespace: random.pick(["foo", "foo", "istio-system"]),
      ...(dryRun && { annotations: { "istio.io/dry-run": "true" } }),
    },
    spec: {
      action,
      ...(custom && { provider: { name: random.chance(0.1) ? "unknown" : "authz" } }),
      rules: Array.from({ length: random.chance(0.05) ? 0 : random.int(1, 3) }, () => rule(random)),
    },
  };
}

function rule(random: Random): Rule {
  if (random.chance(0.03)) return {};
  const from = random.chance(0.45)
    ? Array.from({ length: random.int(1, 2) }, () => ({ source: fields(random, sources) }))
    : undefined;
  const to = random.chance(0.6)
    ? Array.from({ length: random.int(1, 2) }, () => ({ operation: fields(random, operations) }))
    : undefined;
  const when =
    random.chance(0.35) || (!from && !to)
      ? Array.from({ length: random.int(1, 2) }, () => condition(random))
      : undefined;
  return { ...(from && { from }), ...(to && { to }), ...(when && { when }) };
}

function fields(random: Random, of: Readonly<Record<string, readonly string[]>>): Record<string, string[]> {
  const chosen: Record<string, string[]> = {};
  for (const name of random.some(Object.keys(of), 1, 2)) {
    const negated = `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    if (random.chance(0.8)) chosen[name] = random.some(of[name] ?? [], 1, 3);
    if (chosen[name] === undefined || random.chance(0.2)) chosen[negated] = random.some(of[name] ?? [], 1, 2);
  }
  return chosen;
}

function condition(random: Random): NonNullable<Rule["when"]>[number] {
  const [key, values] = random.pick<() => readonly [string, readonly string[]]>([
    () => random.pick(Object.entries(conditions)),
    () => [`request.headers[${random.pick(words.headerNames)}]`, words.headerPatterns],
    () => [`request.auth.claims${random.pick(words.claimKeys)}`, words.claimPatterns],
    () => [random.pick(words.metadataKeys), words.metadataPatterns],
  ])();
  const positive = random.chance(0.75);
  return {
    key,
    ...(positive && { values: random.some(values, 1, 3) }),
    ...((!positive || random.chance(0.15)) && { notValues: random.some(values, 1, 2) }),
  };
}

/** Several requests share a connection, as clients do. */
function connections(random: Random, protocol: "http" | "tcp", count: number): CaseRequest[] {
  const requests: CaseRequest[] = [];
  while (requests.length < count) {
    const connection = connect(random, protocol);
    const shared = protocol === "tcp" ? 1 : random.int(2, 6);
    for (let index = 0; index < shared && requests.length < count; index += 1) requests.push(connection);
  }
  return requests;
}

function connect(random: Random, protocol: "http" | "tcp"): CaseRequest {
  const ip = random.pick(words.sourceIps);
  const kind = random.next();
  const source =
    kind < 0.45
      ? { ip }
      : kind < 0.9
        ? { ip, principal: random.pick(words.principals) }
        : random.pick([
            { ip, uriSans: ["spiffe://cluster.local/ns/foo/sa/web", "spiffe://other.org/ns/bar/sa/job"] },
            { ip, dnsSans: ["web.foo"], principal: "cluster.local/ns/prod/sa/api" },
            { ip, subject: "O=q/ns/prod/z" },
            { ip, subject: "CN=web", dnsSans: ["spiffe://cluster.local/ns/foo/sa/web"] },
          ]);
  const secure = kind >= 0.45;
  return {
    protocol,
    source,
    destination: random.pick(words.destinations),
    ...((secure ? random.chance(0.4) : random.chance(0.08)) && { sni: random.pick(words.serverNames) }),
  };
}

function request(
  random: Random,
  connection: CaseRequest,
  hasTokens: boolean,
  gateway: CaseRequest["gateway"],
): CaseRequest {
  const metadata = { metadata: words.metadataValues };
  if (connection.protocol === "tcp") return connection;
  const headers: [string, string][] = [];
  for (const name of random.some(["x-role", "x-team", "user-agent", "accept", "x_role"], 0, 3))
    headers.push([name, random.pick(words.headerValues)]);
  if (random.chance(0.2)) headers.push(["x-forwarded-for", random.pick(words.forwardedFor)]);
  if (random.chance(0.4)) headers.push(["x-ext-authz", random.pick(["allow", "allow", "deny"])]);
  if (random.chance(0.03)) headers.push(["host", random.pick(words.hosts)]);
  if (random.chance(0.05)) headers.push(["connection", "x-role"]);
  return {
    ...connection,
    ...metadata,
    ...(gateway && { gateway }),
    method: random.pick(words.methods),
    path: random.chance(0.7) ? random.pick(words.paths) : random.pick(words.oddPaths),
    host: random.pick(words.hosts),
    headers,
    ...(hasTokens && random.chance(0.75) && { tokens: [token(random)] }),
  };
}

function token(random: Random): CaseToken {
  const first = random.chance(0.6);
  return {
    key: first ? "hmac1" : "ec1",
    header: { alg: first ? "HS256" : "ES256" },
    claims: {
      iss: words.issuers[first ? 0 : 1],
      ...(random.chance(0.9) && { sub: random.pick(words.subjects) }),
      exp: "now+3600",
      ...random.pick(words.claimSets),
    },
    ...(random.chance(0.04) && { tamper: "signature" as const }),
  };
}
