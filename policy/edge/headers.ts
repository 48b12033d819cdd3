import { hasControl } from "./characters.ts";
import type { WireRequest } from "./receive.ts";

/** Headers that Envoy keeps as one line: repeated ones are joined by a comma. */
export const joinedHeaders: ReadonlySet<string> = new Set(
  (
    "accept accept-encoding authorization cache-control content-type origin referer user-agent via x-request-id " +
    "x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port expect grpc-timeout x-envoy-original-path " +
    "x-envoy-attempt-count x-envoy-decorator-operation x-client-trace-id access-control-request-method " +
    "access-control-request-headers if-none-match if-match pragma x-envoy-downstream-service-cluster " +
    "x-envoy-external-address x-envoy-is-timeout-retry grpc-accept-encoding content-encoding x-envoy-original-host " +
    "host"
  ).split(" "),
);

/** Headers that never reach a policy: hop-by-hop, or Envoy's own, which strangers may not set. */
const dropped = new Set(
  (
    "connection keep-alive proxy-connection transfer-encoding x-envoy-retry-on x-envoy-max-retries " +
    "x-envoy-expected-rq-timeout-ms x-envoy-force-trace x-envoy-ip-tags x-envoy-upstream-alt-stat-name " +
    "x-envoy-upstream-rq-timeout-ms x-envoy-upstream-rq-per-try-timeout-ms x-envoy-hedge-on-per-try-timeout " +
    "x-envoy-retry-grpc-on x-envoy-retriable-status-codes x-envoy-retriable-header-names x-envoy-original-url " +
    "x-envoy-internal x-envoy-upstream-stream-duration-ms"
  ).split(" "),
);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

type Headers =
  | {
      readonly headers: ReadonlyMap<string, readonly string[]>;
      readonly host: string | undefined;
      readonly forwardedFor: string | undefined;
    }
  | { readonly status: 400; readonly reason: string };

/** The headers of a request as policies see them, by lower-case name. */
export function readHeaders({ headers: lines, identities, gateway, sourceIp }: WireRequest): Headers {
  const headers = new Map<string, string[]>();
  for (const [name, value] of lines) {
    if (!token.test(name)) return { status: 400, reason: "http1.codec_error" };
    if (hasControl(value, "\t")) return { status: 400, reason: "http1.invalid_characters" };
    add(headers, name.toLowerCase(), value.replace(/^[ \t]+|[ \t]+$/g, ""));
  }
  const nominated = (headers.get("connection") ?? [])
    .flatMap((line) => line.split(","))
    .map((name) => name.trim().toLowerCase());
  const upgrades = nominated.includes("upgrade");
  for (const name of nominated) if (name !== "upgrade") headers.delete(name);
  for (const name of dropped) headers.delete(name);
  if (!upgrades) headers.delete("upgrade");
  if (headers.get("te")?.join(",").toLowerCase() !== "trailers") headers.delete("te");
  // A plain connection proves nothing, so nobody may claim a certificate.
  if (!identities?.some((identity) => identity !== "") || gateway) headers.delete("x-forwarded-client-cert");
  const forwardedFor = headers.get("x-forwarded-for")?.[0];
  const [host] = headers.get("host") ?? [];
  headers.delete("host");
  const scheme = identities === undefined ? "http" : "https";
  if (gateway) {
    headers.set("x-forwarded-for", [
      [...(forwardedFor === undefined ? [] : [forwardedFor]), sourceIp].join(","),
    ]);
    if (gateway.trustedProxies === 0) headers.set("x-forwarded-proto", [scheme]);
  }
  if (!headers.has("x-forwarded-proto")) headers.set("x-forwarded-proto", [scheme]);
  if (!headers.has("x-request-id") || gateway) headers.set("x-request-id", ["<generated>"]);
  if (!headers.has(":scheme")) headers.set(":scheme", [schemeOf(headers, scheme)]);
  return { headers, host, forwardedFor };
}

function add(headers: Map<string, string[]>, name: string, value: string): void {
  const known = headers.get(name);
  if (known === undefined) headers.set(name, [value]);
  // An empty line adds no comma.
  else if (joinedHeaders.has(name)) known[0] = [known[0], value].filter((line) => line !== "").join(",");
  else known.push(value);
}

function schemeOf(headers: ReadonlyMap<string, readonly string[]>, scheme: string): string {
  const forwarded = headers.get("x-forwarded-proto")?.[0]?.toLowerCase();
  return forwarded === "http" || forwarded === "https" ? forwarded : scheme;
}
