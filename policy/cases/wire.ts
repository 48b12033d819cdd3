import type { WireRequest } from "../edge/receive.ts";
import type { Case, CaseRequest, CaseToken } from "./read.ts";
import { type KeyRing, makeToken } from "./token.ts";

/** Where a case's workload listens unless it says so. */
export const defaultDestination = { ip: "10.1.0.2", port: 8080 } as const;

/** What a client of a case sends, and the tokens in it. */
export interface CaseWire {
  readonly wire: WireRequest;
  readonly tokens: readonly string[];
}

/** The request of a case as bytes on the wire. `now` in epoch seconds. */
export function wireOf(one: Case, keys: KeyRing, now: number): CaseWire {
  const { request = {} } = one;
  const tokens = (request.tokens ?? []).map((token) => makeToken(token, keys, now));
  const headers: [string, string][] = [
    ["host", latin1(request.host ?? "httpbin.foo.svc.cluster.local")],
    ...(request.headers ?? []).map(([name, value]): [string, string] => [
      String(name),
      latin1(String(value)),
    ]),
  ];
  let target = latin1(request.path ?? "/");
  for (const [index, token] of (request.tokens ?? []).entries()) {
    const text = tokens[index] ?? "";
    const place = token.in ?? {};
    if (place.param !== undefined) target += `${target.includes("?") ? "&" : "?"}${place.param}=${text}`;
    else if (place.cookie !== undefined) headers.push(["cookie", `${place.cookie}=${text}`]);
    else headers.push([place.header ?? "authorization", `${prefixOf(place)}${text}`]);
  }
  const { source = {} } = request;
  return {
    tokens,
    wire: {
      protocol: request.protocol ?? "http",
      method: request.method ?? "GET",
      target,
      headers,
      sourceIp: source.ip ?? "10.1.0.1",
      identities: identitiesOf(request),
      sni: request.sni ?? "",
      destination: {
        ip: request.destination?.ip ?? defaultDestination.ip,
        port: request.destination?.port ?? defaultDestination.port,
      },
      gateway:
        request.gateway === undefined
          ? undefined
          : { trustedProxies: request.gateway?.numTrustedProxies ?? 0 },
    },
  };
}

/** The default header takes the usual prefix, another one none unless it is given. */
function prefixOf({ header, prefix }: NonNullable<CaseToken["in"]>): string {
  return prefix ?? (header === undefined || header.toLowerCase() === "authorization" ? "Bearer " : "");
}

/** The names in the client's certificate, undefined where the connection is plain. */
export function namesOf({
  source = {},
}: CaseRequest):
  | { readonly uris: readonly string[]; readonly dns: readonly string[]; readonly subject: string }
  | undefined {
  const { principal, uriSans, dnsSans, subject } = source;
  if (principal === undefined && !uriSans && !dnsSans && subject === undefined) return undefined;
  return {
    uris: [...(principal === undefined ? [] : [`spiffe://${principal}`]), ...(uriSans ?? [])],
    dns: dnsSans ?? [],
    subject: subject ?? "",
  };
}

/** What Envoy compares of the peer: URI SANs, DNS SANs, the subject. Undefined without TLS. */
function identitiesOf(request: CaseRequest): readonly string[] | undefined {
  const names = namesOf(request);
  if (names) return [...names.uris, ...names.dns, names.subject];
  return isTls(request) ? [""] : undefined;
}

/** Whether the client speaks TLS: it has a certificate, asks for it, or sends a server name. */
export function isTls(request: CaseRequest): boolean {
  return namesOf(request) !== undefined || request.tls === true || request.sni !== undefined;
}

function latin1(text: string): string {
  return /[\u0100-\uffff]/.test(text) || /[\u0080-\u00ff]/.test(text)
    ? Buffer.from(text).toString("latin1")
    : text;
}
