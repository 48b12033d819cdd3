import type { ReadCanary } from "../../api/canary/types.ts";
import type { HttpMatch } from "../../api/generated/canaries.ts";
import type { Affinity } from "../decide/affinity.ts";

type Settings = NonNullable<ReadCanary["analysis"]["sessionAffinity"]>;

/** A regular expression of a whole `Cookie` header that carries exactly this `name=value` among others. */
export function cookiePattern(cookie: string): string {
  return `^(.*;\\s*)?${cookie.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")}(;.*)?$`;
}

/** Requests of `match` (all where absent) that carry a cookie; a service's own match of the header stays out. */
export function withCookie(match: readonly HttpMatch[] | undefined, cookie: string): readonly HttpMatch[] {
  const headers = { Cookie: { regex: cookiePattern(cookie) } };
  return (match ?? [{}]).map((one) => ({ ...one, headers: { ...one.headers, ...headers } }));
}

/** The value of `Set-Cookie`, with all the attributes of the Canary. */
export function setCookie(
  cookie: string,
  maxAge: number,
  { domain, httpOnly, partitioned, path, sameSite, secure }: Settings,
): string {
  return [
    cookie,
    `Max-Age=${maxAge}`,
    ...(domain ? [`Domain=${domain}`] : []),
    ...(httpOnly ? ["HttpOnly"] : []),
    ...(partitioned ? ["Partitioned"] : []),
    ...(path ? [`Path=${path}`] : []),
    ...(sameSite ? [`SameSite=${sameSite}`] : []),
    ...(secure ? ["Secure"] : []),
  ].join("; ");
}

/** What an answer of each side sets, so that its user comes back to it. */
export function cookiesToSet({ canary, primary }: Affinity, settings: Settings) {
  return {
    canary: setCookie(canary, settings.maxAge, settings),
    primary: setCookie(primary, settings.maxAge, settings),
  };
}
