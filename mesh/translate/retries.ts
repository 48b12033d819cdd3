import type { HttpRetry } from "../../api/generated/virtualservices.ts";
import { defaultRetries, type Retries } from "../model/route.ts";
import { readDuration } from "./duration.ts";
import type { Report } from "./problem.ts";

/** @see networking.istio.io HTTPRetry: attempts ≤ 0 means none; numbers in retryOn are status codes. */
export function translateRetries(retries: HttpRetry | undefined, report: Report): Retries | undefined {
  if (retries === undefined) return defaultRetries;
  const attempts = retries.attempts ?? defaultRetries.attempts;
  if (attempts <= 0) return undefined;
  const conditions = (retries.retryOn ?? "")
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");
  const codes = conditions.filter((word) => /^\d+$/.test(word)).map(Number);
  const words = conditions.filter((word) => !/^\d+$/.test(word));
  if (codes.length > 0 && !words.includes("retriable-status-codes")) words.push("retriable-status-codes");
  return {
    attempts,
    on: words.length === 0 ? defaultRetries.on : words.join(","),
    statusCodes: codes,
    perTryTimeout: readDuration(retries.perTryTimeout, "perTryTimeout", report) || undefined,
    baseInterval: readDuration(retries.backoff, "backoff", report) || undefined,
    otherLocalities: retries.retryRemoteLocalities ?? false,
    sameHosts: retries.retryIgnorePreviousHosts === false,
  };
}
