import type { ServerResponse } from "node:http";
import type { Logger } from "../../../lib/log.ts";
import { internal, StatusError } from "../status.ts";

/** Sends a JSON text. */
export function sendJson(
  response: ServerResponse,
  code: number,
  json: string,
  warnings: readonly string[] = [],
  mediaType = "application/json",
): void {
  addWarnings(response, warnings);
  response
    .writeHead(code, {
      "content-type": mediaType,
      "content-length": String(Buffer.byteLength(json)),
      "cache-control": "no-cache, private",
    })
    .end(json);
}

/** Adds `Warning` headers to an answer that is still to be sent, each text once, 64 at most. */
export function addWarnings(response: ServerResponse, warnings: readonly string[]): void {
  if (warnings.length === 0) return;
  const texts = [...new Set(warnings)].slice(0, 64);
  response.setHeader(
    "warning",
    texts.map((text) => `299 - ${JSON.stringify(printable(text))}`),
  );
}

/** Header values may hold no line ends and no characters outside Latin-1. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, 4000);
}

/** Sends plain text, as health checks do. */
export function sendText(response: ServerResponse, code: number, text: string): void {
  response
    .writeHead(code, {
      "content-type": "text/plain; charset=utf-8",
      "content-length": String(Buffer.byteLength(text)),
    })
    .end(text);
}

/** Answers whatever was thrown as a Status. What is not a StatusError is our own fault: it is logged. */
export function sendError(response: ServerResponse, error: unknown, logger: Logger): void {
  const status = asStatus(error, logger);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (status.code === 413) response.setHeader("connection", "close");
  const retryAfter = status.details?.retryAfterSeconds ?? (status.code === 429 ? 1 : undefined);
  if (retryAfter !== undefined) response.setHeader("retry-after", String(retryAfter));
  sendJson(response, status.code, JSON.stringify(status.body()));
}

function asStatus(error: unknown, logger: Logger): StatusError {
  if (error instanceof StatusError) return error;
  const why = error instanceof Error ? error.message : String(error);
  if (isDiskError(error)) {
    return internal(
      `the data directory cannot be written: ${why}: free some space or mend its permissions, then try again`,
    );
  }
  logger.error({ error: error instanceof Error ? error.stack : why }, "request failed");
  return internal(why);
}

function isDiskError(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    ["ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES"].includes(String(error.code))
  );
}
