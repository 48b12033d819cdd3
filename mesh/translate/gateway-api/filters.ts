import type { HTTPRouteFilter } from "../../../api/generated/httproutes.ts";
import type {
  CorsPolicy,
  HeaderChanges,
  HeaderOperations,
  HttpMatch,
  Mirror,
  Redirect,
  Rewrite,
  StringMatch,
} from "../../model/route.ts";
import { type RouteSurroundings, resolveBackend, unchangedHeaders } from "./backend.ts";
import type { Unresolved } from "./conditions.ts";

/** What the filters of a rule or a backend do, all together. */
export interface ReadFilters {
  readonly headers: HeaderChanges;
  readonly mirrors: readonly Mirror[];
  readonly redirect: HTTPRouteFilter["requestRedirect"];
  readonly rewrite: HTTPRouteFilter["urlRewrite"];
  readonly cors: CorsPolicy | undefined;
  /** A filter that is not known: its requests are answered with 500, as the specification says. */
  readonly unknown: boolean;
}

/** @see gateway.networking.k8s.io HTTPRouteFilter */
export function readFilters(
  filters: readonly HTTPRouteFilter[],
  around: RouteSurroundings,
  faults: Unresolved[],
): ReadFilters {
  let headers = unchangedHeaders;
  const mirrors: Mirror[] = [];
  let redirect: HTTPRouteFilter["requestRedirect"];
  let rewrite: HTTPRouteFilter["urlRewrite"];
  let cors: CorsPolicy | undefined;
  let unknown = false;
  for (const filter of filters) {
    switch (filter.type) {
      case "RequestHeaderModifier":
        headers = { ...headers, request: operations(filter.requestHeaderModifier) };
        break;
      case "ResponseHeaderModifier":
        headers = { ...headers, response: operations(filter.responseHeaderModifier) };
        break;
      case "RequestMirror": {
        const mirror = filter.requestMirror;
        if (mirror === undefined) break;
        const before = faults.length;
        const destination = resolveBackend(mirror.backendRef, around, faults);
        // Nobody waits for a mirror: one that leads nowhere is left out.
        if (faults.length === before) mirrors.push({ destination, percent: mirrorPercent(mirror) });
        break;
      }
      case "RequestRedirect":
        redirect = filter.requestRedirect;
        break;
      case "URLRewrite":
        rewrite = filter.urlRewrite;
        break;
      case "CORS":
        cors = filter.cors && readCors(filter.cors);
        break;
      case "ExtensionRef": {
        const { group = "", kind = "", name = "" } = filter.extensionRef ?? {};
        faults.push({
          reason: "InvalidKind",
          message: `filter \`${group}/${kind}\` \`${name}\` is not known`,
        });
        unknown = true;
      }
    }
  }
  return { headers, mirrors, redirect, rewrite, cors, unknown };
}

function operations(written: HTTPRouteFilter["requestHeaderModifier"]): HeaderOperations {
  const pairs = (entries: readonly { readonly name: string; readonly value: string }[] = []) =>
    entries.map(({ name, value }): readonly [string, string] => [name, value]);
  return { set: pairs(written?.set), add: pairs(written?.add), remove: written?.remove ?? [] };
}

/** All requests, unless `percent` or `fraction` says otherwise. */
function mirrorPercent({ percent, fraction }: NonNullable<HTTPRouteFilter["requestMirror"]>): number {
  if (fraction !== undefined) return (100 * fraction.numerator) / (fraction.denominator ?? 100);
  return percent ?? 100;
}

function readCors(written: NonNullable<HTTPRouteFilter["cors"]>): CorsPolicy {
  return {
    allowOrigins: (written.allowOrigins ?? []).map(readOrigin),
    allowMethods: written.allowMethods ?? [],
    allowHeaders: written.allowHeaders ?? [],
    exposeHeaders: written.exposeHeaders ?? [],
    maxAge: (written.maxAge ?? 5) * 1000,
    allowCredentials: written.allowCredentials,
    forwardUnmatchedPreflights: false,
  };
}

/** `*` may stand for everything, or for the first labels of a host. */
function readOrigin(origin: string): StringMatch {
  if (!origin.includes("*")) return { kind: "exact", value: origin };
  const [before = "", after = ""] = origin.split("*").map(escaped);
  return { kind: "regex", value: origin === "*" ? ".*" : `${before}[^/]+${after}` };
}

/** A text as a regular expression of itself. */
export function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
}

/** The redirect of a match: what it does not name stays as the request has it. Absent statusCode is 302. */
export function redirectOf({
  scheme,
  hostname,
  path,
  port,
  statusCode,
}: NonNullable<HTTPRouteFilter["requestRedirect"]>): Redirect {
  const wellKnown = scheme === "https" ? 443 : scheme === "http" ? 80 : undefined;
  return {
    kind: "redirect",
    path: path?.type === "ReplaceFullPath" ? (path.replaceFullPath ?? "/") : undefined,
    prefix: path?.type === "ReplacePrefixMatch" ? path.replacePrefixMatch || "/" : undefined,
    authority: hostname,
    scheme,
    // A scheme's own port is not written into the answer.
    port:
      port !== undefined && port === (wellKnown ?? 0)
        ? undefined
        : (port ?? (scheme === undefined ? "listener" : undefined)),
    code: statusCode ?? 302,
  };
}

/** The rewrite for a match: replacing a prefix needs to know which one was matched. */
export function rewriteOf(
  { hostname, path }: NonNullable<HTTPRouteFilter["urlRewrite"]>,
  match: HttpMatch["path"],
): Rewrite {
  const authority = hostname;
  if (path === undefined) return { path: undefined, pathRegex: undefined, authority };
  const literal = (text: string) => text.replaceAll("\\", String.raw`\\`);
  if (path.type === "ReplaceFullPath") {
    const substitution = literal(path.replaceFullPath ?? "/");
    return { path: undefined, pathRegex: { pattern: "^/.*$", substitution }, authority };
  }
  const prefix = (match?.value ?? "/").replace(/\/+$/, "");
  const replacement = (path.replacePrefixMatch ?? "").replace(/\/+$/, "");
  // `/foo` → `/` must make `/` of `/foo` and `/bar` of `/foo/bar`, never `//bar`.
  return {
    path: undefined,
    pathRegex:
      replacement === ""
        ? { pattern: `^${escaped(prefix)}/*(.*)$`, substitution: String.raw`/\1` }
        : { pattern: `^${escaped(prefix)}(/.*|)$`, substitution: `${literal(replacement)}${String.raw`\1`}` },
    authority,
  };
}
