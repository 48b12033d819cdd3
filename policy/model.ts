/**
 * What policies mean for one workload, before anyone enforces it.
 *
 * Envoy's filters (`envoy/`) and the evaluator (`evaluate/`) are both made from this and from nothing else.
 */

/** How a value is compared. `present`: there and not empty. */
export type TextMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "suffix"; readonly value: string }
  | { readonly kind: "present" };

/** An address block of CIDR form. */
export interface Block {
  readonly address: string;
  readonly length: number;
}

/** Which part of a request a predicate looks at. */
export type Leaf =
  /** The peer's SPIFFE ID without its scheme. */
  | { readonly kind: "principal"; readonly match: TextMatch }
  /** A namespace, each `*` standing for any text. */
  | { readonly kind: "namespace"; readonly glob: string }
  | { readonly kind: "service-account"; readonly namespace: string; readonly name: string }
  /** The first part of the peer's SPIFFE ID. */
  | { readonly kind: "trust-domain"; readonly match: TextMatch }
  /** Issuer and subject of the verified token, compared apart. */
  | { readonly kind: "request-principal"; readonly issuer: TextMatch; readonly subject: TextMatch }
  /** A claim of the verified token, as text or as an element of a list. */
  | { readonly kind: "claim"; readonly path: readonly string[]; readonly match: TextMatch }
  /** The connection's other end. */
  | { readonly kind: "source-ip"; readonly block: Block }
  /** The client behind proxies (X-Forwarded-For). */
  | { readonly kind: "remote-ip"; readonly block: Block }
  | { readonly kind: "destination-ip"; readonly block: Block }
  | { readonly kind: "destination-port"; readonly port: number }
  | { readonly kind: "method"; readonly match: TextMatch }
  /** Ignores case, keeps the port. */
  | { readonly kind: "host"; readonly match: TextMatch }
  /** The normalised path without its query. */
  | { readonly kind: "path"; readonly match: TextMatch }
  /** `{*}` is one segment, `{**}` at the end any number. */
  | { readonly kind: "path-template"; readonly template: string }
  | { readonly kind: "header"; readonly name: string; readonly match: TextMatch }
  | { readonly kind: "sni"; readonly match: TextMatch }
  /** Dynamic metadata that an earlier filter left; `list`: an element of a list. */
  | {
      readonly kind: "metadata";
      readonly filter: string;
      readonly key: string;
      readonly match: TextMatch;
      readonly list: boolean;
    };

export type Predicate =
  | { readonly kind: "any" }
  | { readonly kind: "all"; readonly of: readonly Predicate[] }
  | { readonly kind: "some"; readonly of: readonly Predicate[] }
  | { readonly kind: "not"; readonly of: Predicate }
  | Leaf;

export type Action = "ALLOW" | "DENY" | "AUDIT";

export interface Rule {
  /** `ns[N]-policy[P]-rule[I]`, as Istio reports it. */
  readonly id: string;
  /** Who asks. */
  readonly source: Predicate;
  /** For what. */
  readonly operation: Predicate;
}

/** Rules of one action that are in force, by byte order of their ids: the first that matches is reported. */
export interface RuleSet {
  /** Whether any policy of this action selects the workload: an ALLOW policy without rules denies all. */
  readonly present: boolean;
  readonly rules: readonly Rule[];
}

/** An external authorizer, as MeshConfig's `extensionProviders` names it. Times in milliseconds. */
export interface Authorizer {
  readonly name: string;
  readonly protocol: "http" | "grpc";
  /** Host name of its service. */
  readonly host: string;
  readonly port: number;
  readonly timeout: number;
  /** Whether a request passes when the authorizer cannot be asked. */
  readonly failOpen: boolean;
  /** Answered when it cannot be asked and `failOpen` is not set. */
  readonly statusOnError: number;
  readonly pathPrefix: string;
  readonly clearRouteCache: boolean;
  /** Patterns of header names, see {@link TextMatch}. */
  readonly requestHeaders: readonly string[];
  readonly addedHeaders: Readonly<Record<string, string>>;
  readonly headersToUpstream: readonly string[];
  readonly headersToClientOnDeny: readonly string[];
  readonly headersToClientOnAllow: readonly string[];
  readonly body: { readonly most: number; readonly partial: boolean; readonly raw: boolean } | undefined;
}

/** CUSTOM policies of one authorizer: where a rule matches, it is asked. */
export interface CustomStage {
  readonly provider: string;
  /** Undefined where it is unknown or there are too many: what the rules match is denied. */
  readonly authorizer: Authorizer | undefined;
  readonly rules: RuleSet;
}

export interface JwtRule {
  /** `origins-<i>`, by order of issuer. */
  readonly name: string;
  /** Empty: any. */
  readonly issuer: string;
  /** Empty: any. */
  readonly audiences: readonly string[];
  /** Key set (RFC 7517), undefined where the keys cannot be had: every token of the issuer is then refused. */
  readonly jwks: string | undefined;
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly forward: boolean;
  readonly payloadHeader: string | undefined;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Claims that are split at blanks into lists. */
  readonly spaceDelimitedClaims: readonly string[];
}

/** All that is in force at one workload. */
export interface WorkloadPolicy {
  /** Of the mesh, its aliases among them. */
  readonly trustDomains: readonly string[];
  /** Asked first, in this order. */
  readonly custom: readonly CustomStage[];
  readonly jwt: readonly JwtRule[];
  readonly allow: RuleSet;
  readonly deny: RuleSet;
  readonly audit: RuleSet;
  /** The same for policies with `istio.io/dry-run`: noted, never enforced. */
  readonly dryRun: { readonly allow: RuleSet; readonly deny: RuleSet };
}

export const any: Predicate = { kind: "any" };
