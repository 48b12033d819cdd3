import type { ApiStatus } from "./contract.ts";

/** Why a call to the API server failed. Where no answer came, `status` is 0 and `reason` Unreachable, Timeout or Aborted. */
export class ApiError extends Error implements ApiStatus {
  override readonly name = "ApiError";
  readonly status: number;
  readonly reason: string;
  readonly retryAfter?: number;

  constructor({ status, reason, message, retryAfter }: ApiStatus, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.reason = reason;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
  }
}

function hasReason(error: unknown, ...reasons: readonly string[]): boolean {
  return error instanceof ApiError && reasons.includes(error.reason);
}

/** The object, or its kind, does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** Somebody else wrote first, or a precondition did not hold: read again. Not the 409 of a create, see {@link isAlreadyExists}. */
export function isConflict(error: unknown): boolean {
  return (
    hasReason(error, "Conflict") ||
    (error instanceof ApiError && error.status === 409 && error.reason !== "AlreadyExists")
  );
}

export function isAlreadyExists(error: unknown): boolean {
  return hasReason(error, "AlreadyExists");
}

/** 410: the resource version is too old to go on from. */
export function isExpired(error: unknown): boolean {
  return hasReason(error, "Expired", "Gone") || (error instanceof ApiError && error.status === 410);
}

/** 422: the object breaks its schema, or a `test` of a JSON Patch did not hold. */
export function isInvalid(error: unknown): boolean {
  return hasReason(error, "Invalid") || (error instanceof ApiError && error.status === 422);
}

/** No answer came: connection refused or cut, or nothing in time. A write may or may not have happened. */
export function isUnreachable(error: unknown): boolean {
  return hasReason(error, "Unreachable", "Timeout");
}

/** True for what may well succeed later without anybody doing anything. */
export function isTransient(error: unknown): boolean {
  return isUnreachable(error) || (error instanceof ApiError && (error.status === 429 || error.status >= 500));
}

/**
 * Reads metav1.Status, the body of every refusal.
 *
 * @param body as text: a proxy in between may answer HTML, of which the first words are kept
 * @param retryAfterHeader `Retry-After` in seconds
 */
export function readStatus(status: number, body: string, retryAfterHeader?: string): ApiError {
  const parsed = parseObject(body);
  const details = isRecord(parsed?.details) ? parsed.details : undefined;
  const seconds = Number(retryAfterHeader ?? details?.retryAfterSeconds ?? Number.NaN);
  return new ApiError({
    status,
    reason:
      typeof parsed?.reason === "string" && parsed.reason !== ""
        ? parsed.reason
        : (reasons.get(status) ?? "Unknown"),
    message:
      typeof parsed?.message === "string"
        ? parsed.message
        : `the API server answered ${status}: ${firstWords(body)}`,
    ...(Number.isFinite(seconds) ? { retryAfter: seconds * 1000 } : {}),
  });
}

/** For servers that give no reason: what Kubernetes means by the code. */
const reasons = new Map([
  [400, "BadRequest"],
  [401, "Unauthorized"],
  [403, "Forbidden"],
  [404, "NotFound"],
  [405, "MethodNotAllowed"],
  [409, "Conflict"],
  [410, "Expired"],
  [415, "UnsupportedMediaType"],
  [422, "Invalid"],
  [429, "TooManyRequests"],
  [500, "InternalError"],
  [503, "ServiceUnavailable"],
  [504, "Timeout"],
]);

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function firstWords(body: string): string {
  return body.replace(/\s+/g, " ").trim().slice(0, 200) || "(no text)";
}
