/** A request as policies see it: the path normalised, the token verified. */
export interface PolicyRequest {
  readonly protocol: "http" | "tcp";
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Host header, as sent. */
  readonly host: string;
  /** Lines by lower-case name; `:path`, `:method` and `:authority` need not stand here. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  /** The connection's other end. */
  readonly sourceIp: string;
  /** The client behind proxies. */
  readonly remoteIp: string;
  /**
   * What the peer's certificate says, in the order Envoy compares it: URI SANs, DNS SANs, subject. Undefined without
   * TLS.
   */
  readonly identities: readonly string[] | undefined;
  /** Empty where none was sent. */
  readonly sni: string;
  readonly destination: { readonly ip: string; readonly port: number };
  /** Claims of the verified token. */
  readonly claims: Readonly<Record<string, unknown>> | undefined;
  /** What earlier filters left, by filter. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** What was decided, and by which rule. */
export interface Verdict {
  readonly decision: "allow" | "deny";
  /** Id of the rule that decided; null where none matched. */
  readonly matched: string | null;
  /** Which policies refused it: a DENY rule matched, or no ALLOW rule did. Null where it is allowed. */
  readonly refusedBy: "deny" | "allow" | null;
  /** Whether an AUDIT rule marked the request. */
  readonly audited: boolean;
  /** What policies with `istio.io/dry-run` would have done, undefined where there are none. */
  readonly dryRun: { readonly allow: DryRun | undefined; readonly deny: DryRun | undefined };
}

export interface DryRun {
  readonly result: "allowed" | "denied";
  readonly matched: string | null;
}
