import { Agent, request } from "undici";
import type { Secret } from "../../api/core.ts";
import type { Hook, HookAnswer, Hooks, RunId } from "../../api/hooks.ts";
import type { AddressGuard } from "../../lib/address-guard.ts";
import type { Clock } from "../../lib/clock.ts";
import { redact } from "../../lib/redaction.ts";
import type { Alerts } from "../alerts/send.ts";
import { type Credentials, readCredentials, sign, withoutSecrets } from "./authenticate.ts";

export interface HooksOptions {
  readonly clock: Clock;
  /** Which addresses may be called: users name them. */
  readonly guard: AddressGuard;
  /** A Secret of a namespace; none are known where absent. */
  readonly secret?: (namespace: string, name: string) => Secret | undefined;
  /** Where alerts go. */
  readonly alerts: Pick<Alerts, "send">;
}

/** First and longest wait between two attempts, as Flagger's. */
const firstPause = 1000;
const longestPause = 30_000;
/** Of an answer's body this much reaches the event. */
const longestText = 512;

/**
 * Calls a Canary's webhooks as Flagger does: POST of `{name, namespace, phase, checksum, metadata}`, `timeout` for each
 * attempt, `retries` after connection errors, 429 and 5xx (not 501). Any 2xx passes; redirects are not followed. A hook's
 * Secret adds headers and a signature to each attempt; it is read anew at each call.
 *
 * Gates and rollbacks by push are not served yet.
 */
export function createHooks({
  clock,
  guard,
  alerts,
  secret,
}: HooksOptions): Hooks & { close(): Promise<void> } {
  const { lookup } = guard;
  const trusting = new Agent({ connect: { lookup, rejectUnauthorized: false } });
  const strict = new Agent({ connect: { lookup } });
  return {
    async call(hook, phase, run, idempotencyId, signal) {
      const refusal = guard.refusal(hook.url);
      if (refusal !== undefined) return { kind: "failed", text: refusal };
      const credentials =
        hook.secret === undefined
          ? { headers: {}, hidden: [] }
          : readCredentials(secret?.(run.canary.namespace, hook.secret), hook.secret);
      if ("problem" in credentials) return { kind: "failed", text: credentials.problem };
      const call: Call = {
        ...{ hook, credentials, signal, id: idempotencyId, clock },
        body: JSON.stringify(payload(hook, phase, run)),
        dispatcher: hook.disableTLS ? trusting : strict,
      };
      let answer: HookAnswer = { kind: "inconclusive", text: "not asked" };
      for (let attempt = 0; attempt <= hook.retries; attempt++) {
        if (attempt > 0) await pause(clock, Math.min(firstPause * 2 ** (attempt - 1), longestPause), signal);
        if (signal.aborted) return answer;
        const tried = await post(call);
        answer = { ...tried.answer, text: withoutSecrets(tried.answer.text, credentials.hidden) };
        if (!tried.again) return answer;
      }
      return answer;
    },
    async *gates() {},
    async *rollbacks() {},
    alert: (alert) => alerts.send(alert),
    async close() {
      // A call that goes on would keep the pool open for as long as its timeout.
      await Promise.all([trusting.destroy(), strict.destroy()]);
    },
  };
}

function payload({ metadata }: Hook, phase: string, { canary, checksum }: RunId) {
  return { name: canary.name, namespace: canary.namespace, phase, checksum, metadata };
}

/** What all attempts of one call have in common. */
interface Call {
  readonly hook: Hook;
  readonly body: string;
  readonly id: string;
  readonly credentials: Exclude<Credentials, { readonly problem: string }>;
  readonly signal: AbortSignal;
  readonly dispatcher: Agent;
  readonly clock: Pick<Clock, "now">;
}

async function post({
  hook,
  body,
  id,
  credentials: { headers, key },
  signal,
  dispatcher,
  clock,
}: Call): Promise<{ readonly answer: HookAnswer; readonly again: boolean }> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(hook.timeout)]);
  try {
    const { statusCode: status, body: answered } = await request(hook.url, {
      method: "POST",
      headers: {
        ...headers,
        "content-type": "application/json",
        "idempotency-key": id,
        ...(key && sign(key, id, body, clock.now())),
      },
      body,
      signal: limit,
      dispatcher,
    });
    const text = await readText(answered);
    if (status >= 200 && status < 300) return { answer: { kind: "passed", status, text }, again: false };
    const again = status === 429 || (status >= 500 && status !== 501);
    return { answer: { kind: "failed", status, text: `${status}${text === "" ? "" : ` ${text}`}` }, again };
  } catch (error) {
    const text = limit.aborted && !signal.aborted ? `no answer in ${hook.timeout} ms` : messageOf(error);
    return { answer: { kind: "inconclusive", text: redact(text) }, again: !signal.aborted };
  }
}

/** The first words of a body, however long it is: the rest is not read. */
async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString();
    if (text.length >= longestText) break;
  }
  return text.replace(/\s+/g, " ").trim().slice(0, longestText);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function pause(clock: Clock, delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(delay, resolve);
    signal.addEventListener(
      "abort",
      () => {
        cancel();
        resolve();
      },
      { once: true },
    );
  });
}
