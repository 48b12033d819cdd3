import { parseAllDocuments } from "yaml";
import type { AuthorizationPolicy } from "../../api/kinds.ts";

/** One case of a policy test file: what is in force, what is asked, what must come of it. */
export interface Case {
  readonly name: string;
  readonly why?: string;
  readonly kind?: "request" | "admission" | "normalize";
  readonly mesh?: CaseMesh;
  readonly workload?: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> };
  readonly policies?: readonly AuthorizationPolicy[];
  readonly requestAuthentication?: readonly CaseJwtRule[];
  readonly request?: CaseRequest;
  readonly expect?: CaseExpectation;
  /** Of `normalize`: the path as sent, and as policies and the upstream see it or the status it is refused with. */
  readonly pairs?: readonly (readonly [string, string | number])[];
  /** A refusal is right too where `allow` is expected. */
  readonly acceptStricter?: boolean;
  readonly stricterAccepted?: boolean;
  /** Admission would refuse the policy: this is what happens if it is in force all the same. */
  readonly bypassesAdmission?: boolean;
}

export interface CaseMesh {
  readonly trustDomain?: string;
  readonly trustDomainAliases?: readonly string[];
  readonly rootNamespace?: string;
  readonly pathNormalization?: string;
  readonly extensionProviders?: readonly unknown[];
  /** Names of providers that do not answer. */
  readonly unreachableProviders?: readonly string[];
  readonly enableMultipleCustomAuthzProviders?: boolean;
}

/** A jwtRule whose keys are names of pairs that the runner makes. */
export interface CaseJwtRule {
  readonly issuer?: string;
  readonly jwks?: {
    readonly keys: readonly (Readonly<Record<string, unknown>> & { readonly ref?: string })[];
  };
  readonly [field: string]: unknown;
}

export interface CaseRequest {
  readonly protocol?: "http" | "tcp";
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly source?: {
    readonly ip?: string;
    /** Without `spiffe://`. */
    readonly principal?: string;
    readonly uriSans?: readonly string[];
    readonly dnsSans?: readonly string[];
    readonly subject?: string;
  };
  /** TLS without a client certificate. */
  readonly tls?: boolean;
  readonly sni?: string;
  readonly destination?: { readonly ip?: string; readonly port?: number };
  readonly gateway?: { readonly numTrustedProxies?: number };
  /** Payload of an already verified token. */
  readonly jwt?: Readonly<Record<string, unknown>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
  readonly tokens?: readonly CaseToken[];
}

export interface CaseToken {
  /** Who signs; `none`: an empty signature. */
  readonly key?: string;
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly in?: {
    readonly header?: string;
    readonly prefix?: string;
    readonly param?: string;
    readonly cookie?: string;
  };
  /** The algorithm that is really used. */
  readonly signWith?: string;
  /** The key pair whose public key in PEM is the secret of an HMAC. */
  readonly hmacPublicPemOf?: string;
  readonly tamper?: "payload" | "signature" | "truncate" | "two-parts" | "fourth-part" | "padded";
  readonly derSignature?: boolean;
  readonly zeroSignature?: boolean;
  /** The payload's text as it stands. */
  readonly payloadRaw?: string;
  /** The whole token as it stands. */
  readonly raw?: string;
}

export interface CaseExpectation {
  readonly decision?: "allow" | "deny";
  readonly status?: number;
  readonly matched?: string | null;
  readonly audited?: boolean;
  readonly shadow?: Readonly<Record<string, string | null>>;
  readonly claims?: Readonly<Record<string, unknown>> | null;
  readonly upstreamHeaders?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly admission?: "accept" | "reject";
  readonly expectWarning?: unknown;
  readonly envoyReason?: string;
}

/** The cases of a file, in order; a comment between documents is none. @throws Error that names the document */
export function readCases(text: string): Case[] {
  return parseAllDocuments(text).flatMap((document, index) => {
    const [error] = document.errors;
    if (error) throw new Error(`document ${index + 1}: ${error.message.split("\n")[0]}`);
    const value: unknown = document.toJS({ maxAliasCount: 100 });
    if (value === null || value === undefined) return [];
    if (typeof value !== "object" || !("name" in value))
      throw new Error(`document ${index + 1}: a case needs a name`);
    return [value as Case];
  });
}
