import { readPeerIdentity } from "../ca/spiffe.ts";
import type { Model } from "../model/model.ts";
import { type Proxy, readNode } from "../model/proxy.ts";
import type { Peer } from "./ads.ts";

/**
 * Recognises who connects.
 *
 * Over TLS the certificate must prove what the node says: its namespace, and the service account of its pod (as the API
 * server knows it, else as the node says). On plaintext any node in Istio's form is taken at its word.
 *
 * @returns why it is refused, where it is
 */
export function recogniseProxy(
  { node, transport, subjectAltName }: Peer,
  workloads: Model["workloads"],
  trustDomain: string,
): Proxy | { readonly refused: string } {
  const proxy = readNode(node);
  if ("refused" in proxy || transport === "plaintext") return proxy;
  const identity = readPeerIdentity(subjectAltName);
  if (identity === undefined) return { refused: "the client certificate proves no spiffe identity" };
  const { namespace } = identity;
  if (identity.trustDomain !== trustDomain)
    return { refused: `trust domain \`${identity.trustDomain}\` is not \`${trustDomain}\`` };
  const known = workloads.get(`${proxy.namespace}/${proxy.pod}`);
  const serviceAccount = known?.serviceAccount ?? proxy.serviceAccount;
  if (namespace !== proxy.namespace || identity.serviceAccount !== serviceAccount) {
    return {
      refused: `certificate of \`${namespace}/${identity.serviceAccount}\` does not prove node \`${proxy.id}\` of \`${proxy.namespace}/${serviceAccount}\``,
    };
  }
  return { ...proxy, proven: true };
}
