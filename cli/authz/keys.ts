import type { RequestAuthentication } from "../../api/kinds.ts";
import { systemClock } from "../../lib/clock.ts";
import { keySources } from "../../mesh/policy-filters.ts";
import type { KeysOf } from "../../policy/compile/authentication.ts";
import { egressGuard } from "../../policy/jwks/egress.ts";
import { fetchDocument } from "../../policy/jwks/fetch.ts";
import { KeyStore } from "../../policy/jwks/store.ts";

/**
 * Fetches the keys that token rules name, once, behind the same guard as the control plane's.
 *
 * @param allow CIDR blocks that the guard leaves open
 * @throws RangeError for a block that cannot be read
 */
export async function fetchKeys(
  authentication: readonly RequestAuthentication[],
  allow: readonly string[],
): Promise<KeysOf> {
  const sources = keySources(authentication);
  const egress = egressGuard(allow);
  const store = new KeyStore({
    clock: systemClock,
    fetch: (uri, timeout) => fetchDocument(uri, egress, timeout),
    onChange: () => undefined,
  });
  store.want(sources);
  await store.settled();
  const known = new Map(sources.map((source) => [JSON.stringify(source), store.keysOf(source)]));
  store.close();
  return (source) => known.get(JSON.stringify(source));
}
