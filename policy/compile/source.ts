import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { Leaf, Predicate, TextMatch } from "../model.ts";
import { readBlock } from "./block.ts";
import type { CompileField, Field } from "./field.ts";
import type { MeshSettings } from "./mesh.ts";
import { textMatch } from "./text.ts";
import { domainsFor, principalsFor } from "./trust-domain.ts";

type Rules = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>;
type Source = NonNullable<NonNullable<Rules[number]["from"]>[number]["source"]>;

/** What a value's meaning depends on. */
export interface ReadContext {
  readonly mesh: MeshSettings;
  /** The policy's. */
  readonly namespace: string;
}

/** Reads one value of a field; undefined where it cannot be read. */
export type Read = (value: string, context: ReadContext) => Predicate | undefined;

export const readPrincipal: Read = (value, { mesh }) =>
  oneOf(
    principalsFor(value, mesh).map((principal): Leaf => ({ kind: "principal", match: textMatch(principal) })),
  );

/**
 * `iss/sub`, split at the last slash: a star in front opens the issuer, one at the end the subject.
 *
 * Without a slash the subject is empty, which hardly a token has.
 */
export const readRequestPrincipal: Read = (value) => {
  const slash = value.lastIndexOf("/");
  const found = slash >= 0;
  const issuer = found ? value.slice(0, slash) : value;
  const subject = found ? value.slice(slash + 1) : "";
  return { kind: "request-principal", ...requestPrincipal(value, issuer, subject, found) };
};

const present: TextMatch = { kind: "present" };
const exact = (value: string): TextMatch => ({ kind: "exact", value });

function requestPrincipal(value: string, issuer: string, subject: string, found: boolean) {
  if (value === "*") return { issuer: present, subject: present };
  if (value.startsWith("*")) {
    if (!found) return { issuer: present, subject: { kind: "suffix", value: value.slice(1) } as const };
    return { issuer: textMatch(issuer), subject: exact(subject) };
  }
  if (value.endsWith("*")) {
    if (!found) return { issuer: { kind: "prefix", value: value.slice(0, -1) } as const, subject: present };
    return { issuer: exact(issuer), subject: textMatch(subject) };
  }
  return { issuer: exact(issuer), subject: exact(subject) };
}

export const readNamespace: Read = (value) => ({ kind: "namespace", glob: value });

/** `sa` of the policy's namespace, or `ns/sa`. */
export const readServiceAccount: Read = (value, { namespace }) => {
  const slash = value.indexOf("/");
  return slash < 0
    ? { kind: "service-account", namespace, name: value }
    : { kind: "service-account", namespace: value.slice(0, slash), name: value.slice(slash + 1) };
};

export const readTrustDomain: Read = (value, { mesh }) =>
  oneOf(domainsFor(value, mesh).map((domain): Leaf => ({ kind: "trust-domain", match: textMatch(domain) })));

/** A block of one of the three kinds of addresses. */
export const readAddress =
  (kind: "source-ip" | "remote-ip" | "destination-ip"): Read =>
  (value) => {
    const block = readBlock(value);
    return block && { kind, block };
  };

const fields: readonly Field<Source>[] = [
  { name: "principals", not: "notPrincipals", read: readPrincipal },
  { name: "requestPrincipals", not: "notRequestPrincipals", read: readRequestPrincipal, http: true },
  { name: "namespaces", not: "notNamespaces", read: readNamespace },
  { name: "serviceAccounts", not: "notServiceAccounts", read: readServiceAccount },
  { name: "trustDomains", not: "notTrustDomains", read: readTrustDomain },
  { name: "remoteIpBlocks", not: "notRemoteIpBlocks", read: readAddress("remote-ip") },
  { name: "ipBlocks", not: "notIpBlocks", read: readAddress("source-ip") },
];

/** One `from`: all of its fields, any value of each. */
export function compileSource(source: Source, pointer: string, compile: CompileField): Predicate[] {
  return fields.flatMap((field) => compile(source, field, pointer));
}

function oneOf(of: readonly Predicate[]): Predicate {
  const [only] = of;
  return of.length === 1 && only ? only : { kind: "some", of };
}
