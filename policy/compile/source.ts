import type { AuthorizationPolicy } from "../../api/kinds.ts";
import type { Leaf, Predicate } from "../model.ts";
import { readBlock } from "./block.ts";
import type { Compile } from "./rule.ts";
import { textMatch } from "./text.ts";
import { principalsFor } from "./trust-domain.ts";

type Rules = NonNullable<NonNullable<AuthorizationPolicy["spec"]>["rules"]>;
type Source = NonNullable<NonNullable<Rules[number]["from"]>[number]["source"]>;

/** Reads one value of a field; undefined where it cannot be read. */
export type Read = (value: string, compile: Compile) => Predicate | undefined;

export const readPrincipal: Read = (value, { mesh }) =>
  oneOf(
    principalsFor(value, mesh).map((principal): Leaf => ({ kind: "principal", match: textMatch(principal) })),
  );

/** `iss/sub`, split at the last slash; without one the subject is empty, which no token has. */
export const readRequestPrincipal: Read = (value) => {
  if (value === "*")
    return { kind: "request-principal", issuer: { kind: "present" }, subject: { kind: "present" } };
  const slash = value.lastIndexOf("/");
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? "" : value.slice(slash + 1);
  return { kind: "request-principal", issuer: textMatch(issuer), subject: textMatch(subject) };
};

export const readNamespace: Read = (value) => ({ kind: "namespace", glob: value });

/** `sa` of the policy's namespace, or `ns/sa`. */
export const readServiceAccount: Read = (value, { namespace }) => {
  const parts = value.split("/");
  const [first = "", second] = parts;
  if (parts.length > 2 || value.includes("*") || first === "" || second === "") return undefined;
  return second === undefined
    ? { kind: "service-account", namespace, name: first }
    : { kind: "service-account", namespace: first, name: second };
};

export const readTrustDomain: Read = (value) => ({
  kind: "principal",
  match: textMatch(value.endsWith("*") ? value : `${value}/*`),
});

/** A block of one of the three kinds of addresses. */
export const readAddress =
  (kind: "source-ip" | "remote-ip" | "destination-ip"): Read =>
  (value) => {
    const block = readBlock(value);
    return block && { kind, block };
  };

const fields: readonly {
  readonly name: keyof Source;
  readonly not: keyof Source;
  readonly read: Read;
  readonly http?: true;
}[] = [
  { name: "principals", not: "notPrincipals", read: readPrincipal },
  { name: "requestPrincipals", not: "notRequestPrincipals", read: readRequestPrincipal, http: true },
  { name: "namespaces", not: "notNamespaces", read: readNamespace },
  { name: "serviceAccounts", not: "notServiceAccounts", read: readServiceAccount },
  { name: "trustDomains", not: "notTrustDomains", read: readTrustDomain },
  { name: "ipBlocks", not: "notIpBlocks", read: readAddress("source-ip") },
  { name: "remoteIpBlocks", not: "notRemoteIpBlocks", read: readAddress("remote-ip") },
];

/** One `from`: all of its fields, any value of each. */
export function compileSource(source: Source, pointer: string, compile: Compile): Predicate {
  return compile.fields(source, fields, pointer);
}

function oneOf(of: readonly Predicate[]): Predicate {
  const [only] = of;
  return of.length === 1 && only ? only : { kind: "some", of };
}
