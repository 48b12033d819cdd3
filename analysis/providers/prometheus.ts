import { Agent } from "node:https";
import { redact } from "../../lib/redaction.ts";
import type { Milliseconds } from "../../lib/units.ts";
import { type RawAnswer, readPrometheusAnswer } from "./prometheus-answer.ts";
import type { Answer, Provider } from "./types.ts";

export interface PrometheusOptions {
  /** e.g. `http://prometheus.monitoring:9090`, a path before `/api/v1` included. */
  readonly address: string;
  /** Sent with each query; MetricTemplate `spec.provider.headers`. */
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  /** Asked at each query, so that a renewed secret is used: the keys `token`, or `username` and `password`. */
  readonly secret?: () => Promise<ReadonlyMap<string, string>>;
  readonly insecureSkipVerify?: boolean;
  /** Default 5 s, as Flagger's. */
  readonly timeout?: Milliseconds;
}

/** Bytes of an answer that are read: one number needs a few hundred. */
const longestAnswer = 1_000_000;

/**
 * A Prometheus, asked by instant queries.
 *
 * prometheus-query sends them; what it makes of the answer is not used, since it turns `+Inf` into NaN, throws on
 * native histograms and takes every error for one kind. Redirects are not followed: they could lead anywhere.
 */
export function createPrometheus(options: PrometheusOptions): Provider {
  const name = `prometheus ${redact(options.address)}`;
  return {
    name,
    async query(query, signal) {
      let authorization: string | undefined;
      try {
        authorization = await authorizationOf(options.secret);
      } catch (error) {
        return { kind: "error", reason: `its secret cannot be read: ${messageOf(error)}` };
      }
      const answer = await ask(options, authorization, query.trim().replaceAll(/\s+/g, " "), signal);
      return "kind" in answer ? answer : readPrometheusAnswer(answer);
    },
  };
}

async function ask(
  { address, headers = {}, insecureSkipVerify = false, timeout = 5000 }: PrometheusOptions,
  authorization: string | undefined,
  query: string,
  signal: AbortSignal | undefined,
): Promise<RawAnswer | Answer> {
  const { PrometheusDriver } = await import("prometheus-query");
  let raw: RawAnswer | undefined;
  // Slow connections count too, which the library's own timeout does not.
  const timer = AbortSignal.timeout(timeout);
  const driver = new PrometheusDriver({
    endpoint: address,
    timeout,
    headers: {
      ...Object.fromEntries(Object.entries(headers).map(([header, values]) => [header, values.join(", ")])),
      ...(authorization === undefined ? {} : { Authorization: authorization }),
    },
    requestInterceptor: {
      onFulfilled: (request) => {
        request.maxRedirects = 0;
        request.maxContentLength = longestAnswer;
        request.validateStatus = () => true;
        request.signal = signal === undefined ? timer : AbortSignal.any([signal, timer]);
        if (insecureSkipVerify) request.httpsAgent = new Agent({ rejectUnauthorized: false });
        return request;
      },
    },
    responseInterceptor: {
      onFulfilled: (response) => {
        raw = { status: response.status, body: response.data };
        return response;
      },
    },
  });
  try {
    await driver.instantQuery(query);
  } catch (error) {
    if (raw === undefined) {
      return {
        kind: "error",
        reason: timer.aborted ? `no answer within ${timeout / 1000} s` : redact(messageOf(error)),
      };
    }
  }
  return raw ?? { kind: "error", reason: "no answer" };
}

async function authorizationOf(secret: PrometheusOptions["secret"]): Promise<string | undefined> {
  const values = await secret?.();
  const token = values?.get("token");
  if (token !== undefined) return `Bearer ${token.trim()}`;
  const username = values?.get("username");
  if (username === undefined) return undefined;
  return `Basic ${Buffer.from(`${username}:${values?.get("password") ?? ""}`).toString("base64")}`;
}

/** The library rejects with plain objects. */
function messageOf(error: unknown): string {
  if (typeof error === "object" && error !== null) {
    const { error: text, message, code } = error as { error?: unknown; message?: unknown; code?: unknown };
    const words = [
      typeof code === "string" ? code : "",
      typeof text === "string" ? text : typeof message === "string" ? message : "",
    ];
    if (words.some((word) => word !== "")) return words.filter((word) => word !== "").join(" ");
  }
  return String(error);
}
