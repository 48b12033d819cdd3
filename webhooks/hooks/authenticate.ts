import { createHmac } from "node:crypto";
import type { Secret } from "../../api/core.ts";

/**
 * Type of the Secrets that hooks may use. Whoever may write Canaries chooses where a hook is sent, and need not be allowed
 * to read the namespace's other Secrets.
 */
export const hookSecretType = "fairlead.dev/hook";

/** The key of a hook's Secret that signs; every other key is a header. */
const signingKey = "hmac-key";

/** Headers that are the call's own. */
const ownHeaders = new Set([
  ...["content-type", "content-length", "host", "connection", "transfer-encoding", "expect", "upgrade"],
  ...["idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"],
]);

/** What is sent beside the body, or why it cannot be; `hidden` must stand in no text that people read. */
export type Credentials =
  | {
      readonly headers: Readonly<Record<string, string>>;
      readonly key?: Buffer;
      readonly hidden: readonly string[];
    }
  | { readonly problem: string };

/** Reads the Secret of a hook. `name`: as the Canary names it, for the problem's text, which holds no values. */
export function readCredentials(secret: Secret | undefined, name: string): Credentials {
  if (secret === undefined) return { problem: `secret \`${name}\` not found` };
  if (secret.type !== hookSecretType) {
    const found = secret.type ?? "Opaque";
    return { problem: `secret \`${name}\` is of type \`${found}\`, a hook's must be \`${hookSecretType}\`` };
  }
  const { [signingKey]: key, ...rest } = secret.data ?? {};
  const headers: Record<string, string> = {};
  for (const [header, value] of Object.entries(rest)) {
    // Files that are made into Secrets end with a line break.
    const text = Buffer.from(value, "base64").toString().trim();
    if (ownHeaders.has(header.toLowerCase()))
      return { problem: `secret \`${name}\` has the key \`${header}\`, which is the call's own header` };
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(text))
      return { problem: `secret \`${name}\` has a value of \`${header}\` that no header may have` };
    headers[header] = text;
  }
  const signing = key === undefined ? undefined : Buffer.from(key, "base64").toString().trim();
  return {
    headers,
    ...(signing && { key: keyOf(signing) }),
    hidden: [...Object.values(headers), ...(signing ? [signing] : [])].filter((text) => text.length > 3),
  };
}

/**
 * The headers that prove a call and when it was made, for receivers that refuse what is forged or replayed.
 *
 * @param at epoch milliseconds
 * @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function sign(key: Buffer, id: string, body: string, at: number): Record<string, string> {
  const timestamp = String(Math.trunc(at / 1000));
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}

/** A text without the values of a Secret, which a receiver may have sent back. */
export function withoutSecrets(text: string, hidden: readonly string[]): string {
  return hidden.reduce((shown, value) => shown.replaceAll(value, "***"), text);
}

/** Keys of Standard Webhooks are base64 behind their prefix; any other is taken as it stands. */
function keyOf(text: string): Buffer {
  const prefix = "whsec_";
  return text.startsWith(prefix) ? Buffer.from(text.slice(prefix.length), "base64") : Buffer.from(text);
}
