import { isDeepStrictEqual } from "node:util";
import { SharedMap } from "../model/shared-map.ts";
import { type TranslatedRoutes, translateVirtualService } from "./virtual-service.ts";

type Routes = SharedMap<TranslatedRoutes>;

/**
 * Makes the function that puts delegates' routes into the tables of those that delegate. Nothing is done while nobody
 * delegates, and nothing again while none of those that delegate or are delegated to has changed.
 */
export function createDelegation(domain: string): (routes: Routes) => Routes {
  let before: Routes = SharedMap.of();
  let after: Routes = SharedMap.of();
  /** Keys of those that delegate or are delegated to. */
  const involved = new Set<string>();

  return (routes) => {
    const changed = routes.changedSince(before);
    let delegation = false;
    for (const key of changed) {
      delegation ||= involved.has(key);
      if (routes.get(key)?.written === undefined) involved.delete(key);
      else involved.add(key);
      delegation ||= involved.has(key);
    }
    before = routes;
    const updates = new Map(changed.map((key) => [key, routes.get(key)]));
    if (delegation) {
      for (const key of involved) updates.set(key, again(routes, key));
    }
    after = after.with(updates);
    return after;
  };

  function again(routes: Routes, key: string): TranslatedRoutes | undefined {
    const { written } = routes.get(key) ?? {};
    if (written === undefined) return undefined;
    const result = translateVirtualService(
      written,
      domain,
      (namespace, name) => routes.get(`${namespace}/${name}`)?.written,
    );
    const known = after.get(key);
    return isDeepStrictEqual(known, result) ? known : result;
  }
}
