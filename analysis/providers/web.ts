import { JSONPath } from "jsonpath-plus";
import { Agent, request } from "undici";
import { bareJsonPath, jsonPathProblem } from "../../api/json-path.ts";
import type { AddressGuard } from "../../lib/address-guard.ts";
import { redact } from "../../lib/redaction.ts";
import { readBounded } from "./bounded.ts";
import type { Limiter } from "./limits.ts";
import { type Answer, authorizationOf, type Endpoint, type Provider } from "./types.ts";

export interface WebOptions extends Endpoint {
  /** Where the number stands in the answer, e.g. `{$.data.errorRate}`. */
  readonly jsonPath: string;
  readonly guard: AddressGuard;
  readonly limiter: Limiter;
}

/** Bytes of an answer that are read. */
const longestAnswer = 1_000_000;

/**
 * Any web service that answers JSON, as Argo Rollouts' `web` metric: GET of `address` and query, the number at a
 * JSONPath. The query is a path and parameters: it cannot leave the address' origin. Redirects are not followed.
 */
export function createWeb(options: WebOptions): Provider {
  const { address, guard, limiter, insecureSkipVerify = false } = options;
  const agent = new Agent({ connect: { lookup: guard.lookup, rejectUnauthorized: !insecureSkipVerify } });
  const send = async (query: string, signal: AbortSignal | undefined): Promise<Answer> => {
    const url = webUrl(address, query);
    if (url === undefined)
      return {
        kind: "error",
        reason: "the query must be a path or parameters: `/...` or `?...`",
        refused: true,
      };
    const refusal = guard.refusal(url);
    return refusal === undefined ? get(url, options, agent, signal) : { kind: "error", reason: refusal };
  };
  return {
    name: `web ${redact(address)}`,
    query: (query, signal) =>
      limiter.run<Answer>(
        () => send(query.trim(), signal),
        (answer) => answer.kind === "error" && answer.refused !== true,
        (reason) => ({ kind: "error", reason }),
        signal,
      ),
  };
}

/** The address with the query behind it; undefined where that would be another origin, or none. */
export function webUrl(address: string, query: string): string | undefined {
  const base = URL.parse(address);
  if (base === null || !/^(?:$|\/(?![/\\])|\?)/.test(query)) return undefined;
  const path = query.startsWith("/") ? base.pathname.replace(/\/$/, "") : base.pathname;
  const url = URL.parse(`${base.origin}${path}${query}`);
  return url?.origin === base.origin ? url.href : undefined;
}

async function get(
  url: string,
  { headers = {}, secret, timeout = 5000, jsonPath }: WebOptions,
  dispatcher: Agent,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  const timer = AbortSignal.timeout(timeout);
  try {
    const authorization = authorizationOf(await secret?.());
    const { statusCode: status, body } = await request(url, {
      headers: {
        accept: "application/json",
        ...Object.fromEntries(Object.entries(headers).map(([name, values]) => [name, values.join(", ")])),
        ...(authorization === undefined ? {} : { authorization }),
      },
      dispatcher,
      signal: signal === undefined ? timer : AbortSignal.any([signal, timer]),
    });
    const text = await readBounded(body, longestAnswer);
    return text === undefined
      ? { kind: "error", reason: `the answer has more than ${longestAnswer} bytes` }
      : readWebAnswer(status, text, jsonPath);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { kind: "error", reason: timer.aborted ? `no answer within ${timeout / 1000} s` : redact(reason) };
  }
}

/**
 * The number at `jsonPath` of a JSON answer: a number, a text that is one, or true and false as 1 and 0. Nothing there,
 * several values or something else is no data.
 */
export function readWebAnswer(status: number, text: string, jsonPath: string): Answer {
  if (status < 200 || status >= 300) {
    const reason =
      status >= 300 && status < 400
        ? `it redirects (HTTP ${status}): name the final address`
        : `HTTP ${status}`;
    return {
      kind: "error",
      reason,
      ...(status >= 400 && status < 500 && status !== 429 ? { refused: true } : {}),
    };
  }
  const problem = jsonPathProblem(jsonPath);
  if (problem !== undefined) return { kind: "error", reason: `jsonPath ${problem}`, refused: true };
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return { kind: "error", reason: `HTTP ${status} with a body that is no json` };
  }
  if (typeof document !== "object" || document === null)
    return { kind: "no-data", reason: "the answer is no json object" };
  const found: unknown = JSONPath({ path: bareJsonPath(jsonPath), json: document, eval: false, wrap: true });
  const values: readonly unknown[] = Array.isArray(found) ? found : [];
  if (values.length !== 1)
    return { kind: "no-data", reason: `${jsonPath} gives ${values.length} values, not one` };
  return readNumber(values[0]);
}

function readNumber(value: unknown): Answer {
  if (typeof value === "boolean") return { kind: "value", value: value ? 1 : 0 };
  const isNumeric = typeof value === "string" && /^\s*[+-]?(?:\d|\.\d)/.test(value);
  const number = typeof value === "number" || isNumeric ? Number(value) : Number.NaN;
  return Number.isFinite(number)
    ? { kind: "value", value: number }
    : { kind: "no-data", reason: `the value is ${describe(value)}` };
}

/** What stands there in words that do not tell it: who writes a template need not be allowed to read the service. */
function describe(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "string")
    return /^[+-]?(?:Inf|Infinity|NaN)$/.test(value) ? value : "a text, not a number";
  if (typeof value === "number") return "infinite";
  return Array.isArray(value) ? "a list" : "an object";
}
