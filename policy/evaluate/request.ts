/** A request as policies see it: the path normalised, the token verified. */
export interface PolicyRequest {
  readonly protocol: "http" | "tcp";
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Host header, as sent. */
  readonly host: string;
  /** By lower-case name; repeated headers joined with `,` as Envoy does. */
  readonly headers: ReadonlyMap<string, string>;
  /** The connection's other end. */
  readonly sourceIp: string;
  /** The client behind proxies. */
  readonly remoteIp: string;
  /** SPIFFE ID with its scheme, of a peer that proved it by mTLS. */
  readonly principal: string | undefined;
  readonly sni: string | undefined;
  readonly destination: { readonly ip: string; readonly port: number };
  /** Claims of the verified token. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
}

/** What was decided, and by which rule. */
export interface Verdict {
  readonly decision: "allow" | "deny";
  /** Id of the rule that decided; null where none matched. */
  readonly matched: string | null;
  /** Whether an AUDIT rule marked the request. */
  readonly audited: boolean;
  /** What policies with `istio.io/dry-run` would have done. */
  readonly dryRun: {
    readonly allow: "allowed" | "denied" | undefined;
    readonly deny: "allowed" | "denied" | undefined;
  };
}
