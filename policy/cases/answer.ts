/** What an engine makes of a case. */
export interface CaseAnswer {
  readonly decision: "allow" | "deny";
  readonly status: number;
  readonly matched: string | null;
  readonly audited: boolean;
  /** Dry-run metadata by key. */
  readonly shadow: Readonly<Record<string, string>>;
  /** As policies saw them; null: anonymous. */
  readonly claims: Readonly<Record<string, unknown>> | null;
  /** Lines by lower-case name, of what reached the upstream; null where nothing did. */
  readonly upstreamHeaders: Readonly<Record<string, readonly string[]>> | null;
  readonly reason: string;
}

/** What came of the other kinds of cases. */
export interface AdmissionAnswer {
  readonly admission: "accept" | "reject";
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export interface NormalizeAnswer {
  /** Of each pair: the path that came through, or the status. */
  readonly paths: readonly (string | number)[];
}

export type Answer = CaseAnswer | AdmissionAnswer | NormalizeAnswer;

/** One line of the report. */
export interface CaseResult {
  readonly name: string;
  readonly decision: "allow" | "deny" | "accept" | "reject" | null;
  readonly status: number | null;
  readonly matched: string | null;
  readonly claims: Readonly<Record<string, unknown>> | null;
  readonly upstreamHeaders: Readonly<Record<string, unknown>> | null;
  readonly pass: boolean;
  /** What differs, empty where it passed. */
  readonly diff: readonly string[];
}
