import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  RedirectAction_RedirectResponseCode as Code,
  type RedirectAction,
  RedirectActionSchema,
  type RouteActionSchema,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { Forward, HttpMatch, Redirect } from "../model/route.ts";

const codes: ReadonlyMap<number, Code> = new Map([
  [301, Code.MOVED_PERMANENTLY],
  [302, Code.FOUND],
  [303, Code.SEE_OTHER],
  [307, Code.TEMPORARY_REDIRECT],
  [308, Code.PERMANENT_REDIRECT],
]);

/** @see envoy.config.route.v3.RedirectAction */
export function buildRedirect(redirect: Redirect, listenerPort: number): RedirectAction {
  const { path, prefix, pathRegex, authority, scheme, port, code } = redirect;
  // A scheme's own port is not written into the answer.
  const ownPort = listenerPort === 80 || listenerPort === 443 ? undefined : listenerPort;
  const portRedirect = port === "listener" ? ownPort : port;
  return create(RedirectActionSchema, {
    responseCode: codes.get(code) ?? Code.MOVED_PERMANENTLY,
    ...(authority !== undefined && { hostRedirect: authority }),
    ...(portRedirect !== undefined && { portRedirect }),
    ...(scheme !== undefined && { schemeRewriteSpecifier: { case: "schemeRedirect", value: scheme } }),
    ...(pathRegex !== undefined && {
      pathRewriteSpecifier: {
        case: "regexRewrite",
        value: { pattern: { regex: pathRegex.pattern }, substitution: pathRegex.substitution },
      },
    }),
    ...(path !== undefined
      ? { pathRewriteSpecifier: { case: "pathRedirect", value: path } }
      : prefix !== undefined && { pathRewriteSpecifier: { case: "prefixRewrite", value: prefix } }),
  });
}

/** A rewritten path replaces the matched prefix, or the whole path of an exact or regex match. */
export function buildRewrite(
  { rewrite }: Forward,
  match: HttpMatch | undefined,
): Pick<
  MessageInitShape<typeof RouteActionSchema>,
  "prefixRewrite" | "regexRewrite" | "hostRewriteSpecifier"
> {
  if (rewrite === undefined) return {};
  const authority = rewrite.authority && {
    hostRewriteSpecifier: { case: "hostRewriteLiteral" as const, value: rewrite.authority },
  };
  if (rewrite.pathRegex !== undefined) {
    const { pattern, substitution } = rewrite.pathRegex;
    return { ...authority, regexRewrite: { pattern: { regex: pattern }, substitution } };
  }
  if (rewrite.path === undefined) return { ...authority };
  if (match?.path?.kind === "regex") {
    return {
      ...authority,
      regexRewrite: { pattern: { regex: match.path.value }, substitution: rewrite.path },
    };
  }
  return { ...authority, prefixRewrite: rewrite.path };
}
