import {
  RedirectAction_RedirectResponseCode as Code,
  type RedirectAction,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { substitute } from "./rewrite.ts";
import type { RoutedRequest } from "./route-match.ts";

const statuses: Readonly<Record<Code, number>> = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
};

export interface ExplainedRedirect {
  readonly status: number;
  readonly location: string;
}

/** Where a redirect leads. `prefix`: what of the path the route matched. @see envoy.config.route.v3.RedirectAction */
export function explainRedirect(
  action: RedirectAction,
  request: RoutedRequest,
  prefix: string,
): ExplainedRedirect {
  const by = action.schemeRewriteSpecifier;
  const scheme =
    by.case === "schemeRedirect" && by.value !== ""
      ? by.value
      : by.case === "httpsRedirect" && by.value
        ? "https"
        : request.scheme;
  const port = action.portRedirect === 0 ? "" : `:${action.portRedirect}`;
  const host = action.hostRedirect === "" ? ownHost(request, scheme, port !== "") : action.hostRedirect;
  return {
    status: statuses[action.responseCode],
    location: `${scheme}://${host}${port}${pathOf(action, request.path, prefix)}`,
  };
}

/** The request's own host; its port goes where another is set, or where it was the old scheme's. */
function ownHost({ authority, scheme }: RoutedRequest, next: string, hasPort: boolean): string {
  const [, name = authority, port] = /^(.*):(\d+)$/.exec(authority) ?? [];
  if (port === undefined) return authority;
  const wasDefault = scheme !== next && port === (scheme === "https" ? "443" : "80");
  return hasPort || wasDefault ? name : authority;
}

function pathOf(
  { pathRewriteSpecifier: by, stripQuery }: RedirectAction,
  path: string,
  prefix: string,
): string {
  const at = path.indexOf("?");
  const query = at < 0 || stripQuery ? "" : path.slice(at);
  const bare = at < 0 ? path : path.slice(0, at);
  switch (by.case) {
    case "pathRedirect":
      return by.value === "" ? bare + query : by.value.includes("?") ? by.value : by.value + query;
    case "prefixRewrite":
      return by.value + bare.slice(prefix.length) + query;
    case "regexRewrite":
      return substitute(by.value, bare) + query;
    default:
      return bare + query;
  }
}
