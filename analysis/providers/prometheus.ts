import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { AddressGuard } from "../../lib/address-guard.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { redact } from "../../lib/redaction.ts";
import type { Milliseconds } from "../../lib/units.ts";
import { batchQueries } from "./batch.ts";
import type { Limiter } from "./limits.ts";
import { type RawAnswer, readPrometheusAnswer } from "./prometheus-answer.ts";
import { type Answer, authorizationOf, type Endpoint, type Provider } from "./types.ts";

export interface PrometheusOptions extends Endpoint {
  readonly guard?: AddressGuard;
  /** Shared by all that ask this server. */
  readonly limiter?: Limiter;
  readonly clock?: Clock;
}

/** Bytes of an answer that are read: one number needs a few hundred. */
const longestAnswer = 1_000_000;
/** Samples that are older than this are no answer to a question of now. */
const stale: Milliseconds = 300_000;

/**
 * A Prometheus, asked by instant queries.
 *
 * prometheus-query sends them; what it makes of the answer is not used, since it turns `+Inf` into NaN, throws on
 * native histograms and takes every error for one kind. Redirects are not followed: they could lead anywhere.
 */
export function createPrometheus(options: PrometheusOptions): Provider {
  const { clock = systemClock, guard, limiter, address } = options;
  const send = async (query: string, signal: AbortSignal | undefined): Promise<RawAnswer | Answer> => {
    const refusal = guard?.refusal(address);
    if (refusal !== undefined) return { kind: "error", reason: refusal };
    try {
      const authorization = authorizationOf(await options.secret?.());
      const answer = await ask(options, authorization, query, signal);
      return "kind" in answer ? answer : { ...answer, notBefore: clock.now() - stale };
    } catch (error) {
      return { kind: "error", reason: `its secret cannot be read: ${messageOf(error)}` };
    }
  };
  const limited = (query: string, signal: AbortSignal | undefined): Promise<RawAnswer | Answer> =>
    limiter === undefined
      ? send(query, signal)
      : limiter.run<RawAnswer | Answer>(
          () => send(query, signal),
          isDown,
          (reason) => ({ kind: "error", reason }),
          signal,
        );
  const batched = batchQueries(limited, clock);
  return {
    name: `prometheus ${redact(address)}`,
    query: (query, signal, group) => batched(query.trim().replaceAll(/\s+/g, " "), signal, group),
  };
}

function isDown(answer: RawAnswer | Answer): boolean {
  const read = "kind" in answer ? answer : readPrometheusAnswer(answer);
  return read.kind === "error" && read.refused !== true;
}

async function ask(
  { address, headers = {}, insecureSkipVerify = false, timeout = 5000, guard }: PrometheusOptions,
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
        const resolve = guard === undefined ? {} : { lookup: guard.lookup };
        request.proxy = false;
        request.httpAgent = new HttpAgent(resolve);
        request.httpsAgent = new HttpsAgent({ ...resolve, rejectUnauthorized: !insecureSkipVerify });
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
