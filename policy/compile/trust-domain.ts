import type { MeshSettings } from "./mesh.ts";

type Domains = Pick<MeshSettings, "trustDomain" | "trustDomainAliases">;

/**
 * All spellings of a principal: one that names a trust domain of this mesh is meant for each of them.
 *
 * Only the full form `td/ns/N/sa/S` is expanded. `cluster.local` is a pointer to the mesh's own domain, and a
 * domain with a star stays as it is for those that it matches.
 */
export function principalsFor(principal: string, { trustDomain, trustDomainAliases }: Domains): string[] {
  const [domain = "", ...rest] = principal.split("/");
  if (rest.length !== 4 || domain === "*") return [principal];
  const known = [trustDomain, ...trustDomainAliases];
  if (domain !== "cluster.local" && !known.some((each) => alike(domain, each))) return [principal];
  return [...new Set(known.map((each) => (isSuffix(domain, each) ? principal : [each, ...rest].join("/"))))];
}

/** A trust domain of this mesh stands for all of them. */
export function domainsFor(domain: string, { trustDomain, trustDomainAliases }: Domains): string[] {
  const known = [trustDomain, ...trustDomainAliases];
  return known.includes(domain) ? [...new Set(known)] : [domain];
}

/** Whether one is the other, or a pattern with a star at an end that the other fits. */
function alike(a: string, b: string): boolean {
  return a === b || isPrefix(a, b) || isPrefix(b, a) || isSuffix(a, b) || isSuffix(b, a);
}

function isPrefix(pattern: string, text: string): boolean {
  return pattern.endsWith("*") && text.startsWith(pattern.slice(0, -1));
}

function isSuffix(pattern: string, text: string): boolean {
  return pattern.startsWith("*") && text.endsWith(pattern.slice(1));
}
