import type { MeshSettings } from "./mesh.ts";

/**
 * All spellings of a principal: one that names a trust domain of this mesh is meant for each of them.
 *
 * Only the full form `td/ns/N/sa/S` is expanded, and `cluster.local` is a pointer to the mesh's own domain.
 */
export function principalsFor(
  principal: string,
  { trustDomain, trustDomainAliases }: MeshSettings,
): string[] {
  const [domain = "", ...rest] = principal.split("/");
  if (rest.length !== 4 || domain.startsWith("*")) return [principal];
  const known = [trustDomain, ...trustDomainAliases];
  if (domain !== "cluster.local" && !known.includes(domain)) return [principal];
  return [...new Set(known)].map((each) => [each, ...rest].join("/"));
}
