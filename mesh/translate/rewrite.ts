import type { HttpRedirect, HttpRewrite } from "../../api/generated/virtualservices.ts";
import type { Redirect, Rewrite } from "../model/route.ts";
import { isRegex } from "./match.ts";
import type { Report } from "./problem.ts";

const redirectCodes = [301, 302, 303, 307, 308];

/** @see networking.istio.io HTTPRedirect; absent redirectCode is 301, derivePort FROM_PROTOCOL_DEFAULT names no port */
export function translateRedirect(redirect: HttpRedirect, report: Report): Redirect {
  let code = redirect.redirectCode ?? 301;
  if (!redirectCodes.includes(code)) {
    report.problem("redirectCode", `\`${code}\` is none of ${redirectCodes.join(", ")}, so 301 is sent`);
    code = 301;
  }
  return {
    kind: "redirect",
    path: redirect.uri,
    authority: redirect.authority,
    scheme: redirect.scheme,
    port: redirect.derivePort === "FROM_REQUEST_PORT" ? "listener" : redirect.port || undefined,
    prefix: redirect.prefixRewrite,
    code,
  };
}

/** @see networking.istio.io HTTPRewrite */
export function translateRewrite({ uri, authority, uriRegexRewrite }: HttpRewrite, report: Report): Rewrite {
  const pattern = uriRegexRewrite?.match;
  const usable = pattern !== undefined && isRegex(pattern, report.at("uriRegexRewrite", "match"));
  return {
    path: uri,
    pathRegex: usable ? { pattern, substitution: uriRegexRewrite?.rewrite ?? "" } : undefined,
    authority,
  };
}
