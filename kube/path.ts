import { apiVersion, type Kind } from "../api/resource.ts";

/** Query parameters; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * The URL path of a kind, an object or its subresource, e.g. `/apis/apps/v1/namespaces/demo/deployments/shop/status`.
 *
 * @param namespace undefined for all namespaces and for kinds without namespaces
 */
export function resourcePath(kind: Kind, namespace?: string, name?: string, subresource?: string): string {
  const root = kind.group === "" ? "/api" : "/apis";
  const parts = [root, apiVersion(kind)];
  if (kind.namespaced && namespace !== undefined) parts.push("namespaces", encodeURIComponent(namespace));
  parts.push(kind.plural);
  if (name !== undefined) parts.push(encodeURIComponent(name));
  if (subresource !== undefined) parts.push(subresource);
  return parts.join("/");
}

/** `path` with `query` behind it. */
export function withQuery(path: string, query: Query): string {
  const given = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") given.set(key, String(value));
  }
  return given.size === 0 ? path : `${path}?${given.toString()}`;
}
