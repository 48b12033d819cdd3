import type { AdmissionAnswer, Answer, CaseAnswer, CaseResult, NormalizeAnswer } from "./answer.ts";
import type { Case } from "./read.ts";

/** What the upstream should have seen is written with names for parts of the request. */
export interface Sent {
  readonly tokens: readonly string[];
}

/** Compares an answer with what the case expects. */
export function compare(one: Case, answer: Answer, sent: Sent): CaseResult {
  const nothing = { status: null, matched: null, claims: null, upstreamHeaders: null };
  if ("admission" in answer) {
    const diff = compareAdmission(one, answer);
    return { name: one.name, decision: answer.admission, ...nothing, pass: diff.length === 0, diff };
  }
  if ("paths" in answer) {
    const diff = comparePaths(one, answer);
    return { name: one.name, decision: null, ...nothing, pass: diff.length === 0, diff };
  }
  const { decision, status, matched, claims, upstreamHeaders } = answer;
  const diff = compareRequest(one, answer, sent);
  return {
    name: one.name,
    decision,
    status,
    matched,
    claims,
    upstreamHeaders,
    pass: diff.length === 0,
    diff,
  };
}

/** The result of a case that could not be run. */
export function failed(one: Case, message: string): CaseResult {
  const nothing = { decision: null, status: null, matched: null, claims: null, upstreamHeaders: null };
  return { name: one.name, ...nothing, pass: false, diff: [message] };
}

function compareRequest(one: Case, answer: CaseAnswer, sent: Sent): string[] {
  const expect = one.expect ?? {};
  const stricter = one.acceptStricter === true || one.stricterAccepted === true;
  if (stricter && expect.decision === "allow" && answer.decision === "deny") return [];
  const diff: string[] = [];
  const differs = (what: string, wanted: unknown, got: unknown) => {
    if (!isSame(wanted, got)) diff.push(`${what}: want ${show(wanted)}, got ${show(got)}`);
  };
  const decision =
    expect.decision ?? (expect.status === undefined || expect.status < 400 ? undefined : "deny");
  if (decision !== undefined) differs("decision", decision, answer.decision);
  const isTcp = one.request?.protocol === "tcp";
  const status = expect.status ?? (expect.decision === "deny" ? 403 : 200);
  if (!isTcp && (expect.status !== undefined || expect.decision !== undefined))
    differs("status", status, answer.status);
  if (expect.matched !== undefined) differs("matched", expect.matched, answer.matched);
  if (expect.audited !== undefined) differs("audited", expect.audited, answer.audited);
  for (const [key, value] of Object.entries(expect.shadow ?? {}))
    differs(`shadow ${key}`, value, answer.shadow[key] ?? null);
  if (expect.claims === null) differs("claims", null, answer.claims);
  else if (expect.claims !== undefined)
    for (const [name, value] of Object.entries(expect.claims))
      differs(`claim ${name}`, value, own(answer.claims, name));
  for (const [name, value] of Object.entries(expect.upstreamHeaders ?? {})) {
    const lines = answer.upstreamHeaders?.[name.toLowerCase()];
    differs(
      `upstream ${name}`,
      expected(value, sent),
      Array.isArray(value) ? (lines ?? null) : (lines?.join(",") ?? null),
    );
  }
  return diff;
}

/** `@token` is the token as it was sent, `@payload` its middle part. */
function expected(value: string | readonly string[] | null, { tokens }: Sent): unknown {
  const [token = ""] = tokens;
  if (value === "@token") return token.includes(".") ? `Bearer ${token}` : token;
  if (value === "@payload") return token.split(".")[1] ?? "";
  return value;
}

function compareAdmission({ expect }: Case, answer: AdmissionAnswer): string[] {
  const diff: string[] = [];
  const wanted = expect?.admission;
  if (wanted !== undefined && wanted !== answer.admission)
    diff.push(
      `admission: want ${wanted}, got ${answer.admission}${answer.errors.length > 0 ? `: ${answer.errors.join("; ")}` : ""}`,
    );
  const warning = expect?.expectWarning;
  if (warning === undefined) return diff;
  const said =
    typeof warning === "string"
      ? answer.warnings.some((text) => text.includes(warning))
      : answer.warnings.length > 0 === Boolean(warning);
  if (!said) diff.push(`warning: want ${show(warning)}, got ${show(answer.warnings)}`);
  return diff;
}

function comparePaths({ pairs = [] }: Case, { paths }: NormalizeAnswer): string[] {
  return pairs.flatMap(([sent, wanted], index) =>
    isSame(wanted, paths[index]) ? [] : [`${show(sent)}: want ${show(wanted)}, got ${show(paths[index])}`],
  );
}

function own(object: Readonly<Record<string, unknown>> | null, name: string): unknown {
  return object !== null && Object.hasOwn(object, name) ? object[name] : undefined;
}

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && isSame(Reflect.get(a, key), Reflect.get(b, key)))
  );
}

function show(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}
