import { isIP } from "node:net";
import type { PolicyRequest } from "../evaluate/request.ts";
import { normalizePath, type PathNormalization } from "../path/normalize.ts";
import { readHeaders } from "./headers.ts";
import { readTarget } from "./target.ts";

/** A request as it comes off the wire, HTTP/1.1 or a plain connection. Texts hold a byte a character (latin1). */
export interface WireRequest {
  readonly protocol: "http" | "tcp";
  readonly method: string;
  readonly target: string;
  /** All lines in order, `host` among them. */
  readonly headers: readonly (readonly [string, string])[];
  readonly sourceIp: string;
  readonly identities: readonly string[] | undefined;
  readonly sni: string;
  readonly destination: { readonly ip: string; readonly port: number };
  /** Set where a gateway receives it: how many proxies in front of it are believed. */
  readonly gateway: { readonly trustedProxies: number } | undefined;
}

export type Received =
  | { readonly request: PolicyRequest }
  /** Answered before any policy looks; `rule`: by a rule of our own. */
  | { readonly status: 400 | 403 | 404; readonly reason: string; readonly rule?: string };

/**
 * What Envoy's connection manager makes of a request before filters see it: refused, or with its path normalised, its
 * host taken from an absolute target, hop-by-hop headers gone and the client's address read from X-Forwarded-For.
 */
export function receive(wire: WireRequest, mode: PathNormalization): Received {
  const { sourceIp, identities, destination, protocol } = wire;
  const sni = wire.sni.toLowerCase();
  const connection = { protocol, sourceIp, identities, sni, destination, claims: undefined };
  if (protocol === "tcp")
    return {
      request: { ...connection, remoteIp: sourceIp, method: "", path: "", host: "", headers: new Map() },
    };
  const refuse = (status: 400 | 403 | 404, reason: string): Received => ({ status, reason });
  const read = readHeaders(wire);
  if ("status" in read) return read;
  const target = readTarget(wire.method, wire.target);
  if ("status" in target) return target;
  const host = target.host ?? read.host;
  if (host === undefined) return refuse(400, "missing_host_header");
  if (!isAuthority(host)) return refuse(400, "http.invalid_authority");
  if (target.path.includes("#")) return refuse(400, "path_normalization_failed");
  if (!target.path.startsWith("/")) return refuse(404, "absolute_path_rejected");
  const normalized = normalizePath(target.path, mode);
  if ("status" in normalized) {
    const { status } = normalized;
    return status === 403 ? refusedByStrict : refuse(status, "path_normalization_failed");
  }
  if (mode === "STRICT" && host.includes(",")) return refusedByStrict;
  const upgrade = read.headers.get("upgrade");
  if (upgrade && upgrade[0]?.toLowerCase() !== "websocket") return refuse(403, "upgrade_failed");
  return {
    request: {
      ...connection,
      remoteIp: clientAddress(wire, read.forwardedFor),
      method: wire.method,
      path: normalized.path,
      host,
      headers: read.headers,
    },
  };
}

/** Id of the rule that carries out STRICT in Envoy, see `envoy/strict.ts`. */
export const strictRule = "fairlead-strict-path";

const refusedByStrict: Received = {
  status: 403,
  reason: `rbac_access_denied_matched_policy[${strictRule}]`,
  rule: strictRule,
};

const authority = /^[A-Za-z0-9\-._~!$&'()*+,;=:%@[\]]*$/;

function isAuthority(host: string): boolean {
  return authority.test(host);
}

/**
 * The client behind proxies. A sidecar believes the last entry of X-Forwarded-For; a gateway counts its trusted proxies
 * from the right. What is no plain address is not believed: then it is the peer.
 */
function clientAddress({ sourceIp, gateway }: WireRequest, forwardedFor: string | undefined): string {
  if (forwardedFor === undefined || gateway?.trustedProxies === 0) return sourceIp;
  let list = forwardedFor;
  for (let skipped = 0; skipped < (gateway?.trustedProxies ?? 1) - 1; skipped += 1) {
    const comma = list.lastIndexOf(",");
    if (comma < 0) return sourceIp;
    list = list.slice(0, comma);
  }
  const comma = list.lastIndexOf(",");
  // A list that ends in a comma is read whole, as Envoy does, and is no address then.
  const entry = comma >= 0 && comma + 1 < list.length ? list.slice(comma + 1) : list;
  const address = entry.trim();
  return isIP(address) === 0 ? sourceIp : address;
}
