import { Agent, request } from "undici";
import type { Hook, HookAnswer, Hooks, RunId } from "../../api/hooks.ts";
import type { Logger } from "../../lib/log.ts";
import { redact } from "../../lib/redaction.ts";

/** So much of an answer is kept for people to read. */
const bodyLimit = 2_000;
const firstPause = 1_000;
const longestPause = 30_000;

/**
 * Calls a Canary's webhooks as Flagger does: POST of `{name, namespace, phase, checksum, metadata}`.
 *
 * Any 2xx passes (Flagger: up to 202). Connection errors, 429 and 5xx but 501 are tried again. Alerts, gates and
 * rollback switches are not served yet: an alert is logged.
 */
export function createHooks({ logger }: { readonly logger: Logger }): Hooks {
  const trusting = new Agent({ connect: { rejectUnauthorized: false } });
  return {
    async call(hook, phase, run, idempotencyId, signal) {
      let answer: HookAnswer = { kind: "inconclusive", text: "not called" };
      for (
        let attempt = 0, pause = firstPause;
        attempt <= hook.retries && !signal.aborted;
        attempt++, pause = Math.min(pause * 2, longestPause)
      ) {
        if (attempt > 0) await wait(pause, signal);
        answer = await post(hook, phase, run, idempotencyId, signal, hook.disableTLS ? trusting : undefined);
        if (answer.kind === "passed" || !isWorthAnother(answer)) return answer;
      }
      return answer;
    },
    async *gates() {},
    async *rollbacks() {},
    alert: (alert) => logger.info({ alert }, "an alert, not sent: alert providers are not served yet"),
  };
}

async function post(
  hook: Hook,
  phase: string,
  { canary, checksum }: RunId,
  idempotencyId: string,
  signal: AbortSignal,
  dispatcher: Agent | undefined,
): Promise<HookAnswer> {
  const body = JSON.stringify({
    name: canary.name,
    namespace: canary.namespace,
    phase,
    checksum,
    metadata: hook.metadata,
  });
  try {
    const answer = await request(hook.url, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": idempotencyId },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(hook.timeout)]),
      ...(dispatcher ? { dispatcher } : {}),
    });
    const text = await head(answer.body);
    const passed = answer.statusCode >= 200 && answer.statusCode < 300;
    return { kind: passed ? "passed" : "failed", status: answer.statusCode, text };
  } catch (error) {
    return { kind: "inconclusive", text: redact(error instanceof Error ? error.message : String(error)) };
  }
}

/** The first part of a body; the rest of an endless one is never read. */
async function head(body: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const chunk of body) {
    text += chunk.toString("utf8");
    if (text.length >= bodyLimit) break;
  }
  return redact(text.slice(0, bodyLimit).trim());
}

function isWorthAnother({ kind, status }: HookAnswer): boolean {
  return (
    kind === "inconclusive" || status === 429 || (status !== undefined && status >= 500 && status !== 501)
  );
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
