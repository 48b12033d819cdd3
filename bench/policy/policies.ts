/** The policies and requests that all engines of this benchmark decide. */
import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { PolicyRequest } from "../../policy/evaluate/request.ts";

export const namespace = "shop";
/** Teams: each has its paths, its callers, and one policy of each of the four kinds in turn. */
const kinds = 4;

/** What a policy says, in terms that every engine knows. */
export interface Statement {
  readonly action: "ALLOW" | "DENY";
  /** The SPIFFE ID without its scheme, or none for anybody. */
  readonly principal: string | undefined;
  readonly namespace: string | undefined;
  readonly methods: readonly string[];
  readonly path: { readonly exact: string } | { readonly prefix: string };
}

const teamOf = (index: number): string => `team-${Math.floor(index / kinds)}`;
const callerOf = (team: string): string => `cluster.local/ns/${team}/sa/web`;

/** One policy of the set, by its number. */
export function statement(index: number): Statement {
  const team = teamOf(index);
  const anybody = { principal: undefined, namespace: undefined };
  switch (index % kinds) {
    case 0:
      return {
        ...anybody,
        action: "ALLOW",
        principal: callerOf(team),
        methods: ["GET", "HEAD"],
        path: { exact: `/api/v1/${team}/orders` },
      };
    case 1:
      return {
        ...anybody,
        action: "ALLOW",
        namespace: team,
        methods: ["POST"],
        path: { prefix: `/api/v1/${team}/carts/` },
      };
    case 2:
      return { ...anybody, action: "ALLOW", methods: ["GET"], path: { exact: `/public/${team}` } };
    default:
      return { ...anybody, action: "DENY", methods: [], path: { prefix: `/api/v1/${team}/carts/admin` } };
  }
}

/** The same as an object of the API. */
export function policyOf(index: number): AuthorizationPolicy {
  const { action, principal, namespace: caller, methods, path } = statement(index);
  const source = { ...(principal && { principals: [principal] }), ...(caller && { namespaces: [caller] }) };
  const operation = {
    ...(methods.length > 0 && { methods: [...methods] }),
    paths: ["exact" in path ? path.exact : `${path.prefix}*`],
  };
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: `policy-${index}`, namespace },
    spec: {
      action,
      rules: [{ ...(Object.keys(source).length > 0 && { from: [{ source }] }), to: [{ operation }] }],
    },
  };
}

/** A request in the terms of all engines. */
export interface Ask {
  readonly caller: string;
  readonly namespace: string;
  readonly method: string;
  readonly path: string;
}

/** Requests over all teams, from the one of a number: hits and misses of each kind, and paths that nobody named. */
export function asks(policies: number, count: number, first = 0): Ask[] {
  const teams = Math.max(1, Math.floor(policies / kinds));
  return Array.from({ length: count }, (_, offset): Ask => {
    const index = first + offset;
    // A step that is prime to most counts, so that neighbours are far apart.
    const team = `team-${(index * 7919) % teams}`;
    const own = { caller: callerOf(team), namespace: team };
    const stranger = { caller: "cluster.local/ns/other/sa/batch", namespace: "other" };
    switch (index % 6) {
      case 0:
        return { ...own, method: "GET", path: `/api/v1/${team}/orders` };
      case 1:
        return { ...own, method: "POST", path: `/api/v1/${team}/carts/7/items` };
      case 2:
        return { ...stranger, method: "GET", path: `/public/${team}` };
      case 3:
        return { ...own, method: "POST", path: `/api/v1/${team}/carts/admin/keys` };
      case 4:
        return { ...stranger, method: "GET", path: `/api/v1/${team}/orders` };
      default:
        return { ...own, method: "GET", path: `/metrics/${index}` };
    }
  });
}

/** As our evaluator takes it, with strings of its own. */
export function requestOf({ caller, method, path }: Ask): PolicyRequest {
  return {
    protocol: "http",
    method,
    path,
    host: "orders.shop.svc.cluster.local",
    headers: new Map([
      ["user-agent", ["bench"]],
      ["x-request-id", [path]],
    ]),
    sourceIp: "10.1.0.1",
    remoteIp: "10.1.0.1",
    identities: [`spiffe://${caller}`],
    sni: "",
    destination: { ip: "10.1.0.2", port: 8080 },
    claims: undefined,
  };
}
