/** How the caller opens its connection: in the clear, by TLS of its own, or as a sidecar of the mesh does. */
export type CallerTls = "plaintext" | "tls" | "mtls";

/** What a workload asks for. */
export interface RouteRequest {
  /** `tcp`: bytes without requests. */
  readonly scheme: "http" | "https" | "tcp";
  /** As the caller writes it, lower case, without a port. */
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly path: string;
  readonly method: string;
  /** Lower-case names, in order; the same name may stand there twice. */
  readonly headers: readonly (readonly [string, string])[];
  readonly tls: CallerTls;
  /** Server name of its TLS connection; "" for none. */
  readonly sni: string;
  /** Protocols that it offers. */
  readonly alpn: readonly string[];
  /** Whether it speaks HTTP/2 in the clear. */
  readonly http2: boolean;
}

/** What beside the URL is known of a request. */
export interface RequestOptions {
  readonly method?: string;
  readonly headers?: readonly (readonly [string, string])[];
  readonly tls?: CallerTls;
  readonly sni?: string;
  readonly alpn?: readonly string[];
  readonly http2?: boolean;
}

const defaultPorts: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };

/**
 * The request that a URL means. `https` is TLS of the caller's own, `tcp` needs a port; without `alpn` a TLS caller
 * offers what browsers do.
 *
 * @throws RangeError for what is no such URL
 */
export function requestOf(url: string, options: RequestOptions = {}): RouteRequest {
  const parsed = URL.parse(url);
  if (parsed === null || !["http:", "https:", "tcp:"].includes(parsed.protocol) || parsed.hostname === "")
    throw new RangeError(
      `\`${url}\` is no URL of the form http://HOST[:PORT]/PATH, https://… or tcp://HOST:PORT`,
    );
  const port = parsed.port === "" ? defaultPorts[parsed.protocol] : Number(parsed.port);
  if (port === undefined) throw new RangeError(`\`${url}\` names no port`);
  const scheme = parsed.protocol === "https:" ? "https" : parsed.protocol === "tcp:" ? "tcp" : "http";
  const host = parsed.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const tls = options.tls ?? (scheme === "https" ? "tls" : "plaintext");
  const isName = !/^[\d.]+$|:/.test(host);
  return {
    scheme,
    host,
    port,
    path: rawPath(url),
    method: options.method ?? "GET",
    headers: (options.headers ?? []).map(([name, value]) => [name.toLowerCase(), value] as const),
    tls,
    sni: options.sni ?? (tls !== "plaintext" && isName ? host : ""),
    alpn: options.alpn ?? (tls === "tls" && scheme !== "tcp" ? ["h2", "http/1.1"] : []),
    http2: options.http2 ?? false,
  };
}

/** The path as it was written: `URL` would resolve dots, which is the proxy's part. */
function rawPath(url: string): string {
  const path = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(url)?.[1] ?? "";
  return path.startsWith("/") ? path : `/${path}`;
}

/** The authority that the caller sends: the `host` header where it sets one. */
export function authorityOf({ headers, host, port, scheme }: RouteRequest): string {
  const own = headers.find(([name]) => name === "host" || name === ":authority")?.[1];
  if (own !== undefined) return own;
  const name = host.includes(":") ? `[${host}]` : host;
  return port === (scheme === "https" ? 443 : 80) ? name : `${name}:${port}`;
}
