import { parseAllDocuments } from "yaml";
import type { AuthorizationPolicy } from "../../api/kinds.ts";

/** One case of a policy test file: what is in force, what is asked, what must come of it. Times and defaults as the format says. */
export interface Case {
  readonly name: string;
  readonly why?: string;
  readonly kind?: "request" | "admission" | "normalize";
  readonly mesh?: {
    readonly trustDomain?: string;
    readonly trustDomainAliases?: readonly string[];
    readonly rootNamespace?: string;
    readonly pathNormalization?: string;
    readonly extensionProviders?: readonly unknown[];
  };
  readonly workload?: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> };
  readonly policies?: readonly AuthorizationPolicy[];
  readonly requestAuthentication?: readonly CaseJwtRule[];
  readonly request?: CaseRequest;
  readonly expect: CaseExpectation;
}

/** A jwtRule whose keys are names of pairs that the runner makes. */
export interface CaseJwtRule {
  readonly issuer: string;
  readonly jwks?: {
    readonly keys: readonly (Readonly<Record<string, unknown>> & { readonly ref: string })[];
  };
  readonly [field: string]: unknown;
}

export interface CaseRequest {
  readonly protocol?: "http" | "tcp";
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly source?: { readonly ip?: string; readonly principal?: string };
  readonly sni?: string;
  readonly destination?: { readonly ip?: string; readonly port?: number };
  /** Payload of an already verified token. */
  readonly jwt?: Readonly<Record<string, unknown>>;
  readonly metadata?: unknown;
  readonly tokens?: readonly CaseToken[];
}

export interface CaseToken {
  readonly key: string;
  readonly header: Readonly<Record<string, string>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly in?: {
    readonly header?: string;
    readonly prefix?: string;
    readonly param?: string;
    readonly cookie?: string;
  };
}

export interface CaseExpectation {
  readonly decision?: "allow" | "deny";
  readonly status?: number;
  readonly matched?: string | null;
  readonly audited?: boolean;
  readonly shadow?: Readonly<Record<string, string>>;
  readonly claims?: Readonly<Record<string, unknown>> | null;
  readonly upstreamHeaders?: Readonly<Record<string, string | null>>;
  readonly admission?: "accept" | "reject";
}

/** The cases of a file, in order; a comment between documents is none. @throws YAMLParseError */
export function readCases(text: string): Case[] {
  return parseAllDocuments(text, { maxAliasCount: 100 } as never)
    .map((document): unknown => document.toJS())
    .filter((value): value is Case => typeof value === "object" && value !== null && "name" in value);
}
