import type {
  RouteAction,
  RouteMatch,
} from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import type { RegexMatchAndSubstitute } from "../../envoy/generated/envoy/type/matcher/v3/regex_pb.js";
import { regex } from "./string-match.ts";

/**
 * The path that the upstream sees; the query stays.
 *
 * @see envoy.config.route.v3.RouteAction.prefix_rewrite (the matched part is replaced: all of an exact or regex match)
 */
export function rewrittenPath(
  { prefixRewrite, regexRewrite }: Pick<RouteAction, "prefixRewrite" | "regexRewrite">,
  match: RouteMatch | undefined,
  path: string,
): string {
  const at = path.search(/[?#]/);
  const [bare, rest] = at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at)];
  if (regexRewrite !== undefined) return substitute(regexRewrite, bare) + rest;
  if (prefixRewrite === "") return path;
  return prefixRewrite + bare.slice(matchedLength(match, bare)) + rest;
}

/** How much of a path a route's own match covers. */
export function matchedLength(match: RouteMatch | undefined, bare: string): number {
  const by = match?.pathSpecifier;
  return by?.case === "prefix" || by?.case === "pathSeparatedPrefix" ? by.value.length : bare.length;
}

/**
 * Every place where the pattern fits is replaced, but no empty one right behind another; `\1` is the first group.
 *
 * @see RE2::GlobalReplace
 */
export function substitute({ pattern, substitution }: RegexMatchAndSubstitute, text: string): string {
  const matcher = regex(pattern?.regex ?? "").matcher(text);
  let result = "";
  let end = -1;
  while (matcher.find()) {
    if (matcher.end() === matcher.start() && matcher.start() === end) continue;
    const group = (number: number) => (number <= matcher.groupCount() ? (matcher.group(number) ?? "") : "");
    const replacement = substitution.replace(/\\([\d\\])/g, (_, what: string) =>
      what === "\\" ? "\\" : group(Number(what)),
    );
    result += text.slice(Math.max(end, 0), matcher.start()) + replacement;
    end = matcher.end();
  }
  return result + text.slice(Math.max(end, 0));
}
