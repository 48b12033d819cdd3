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

/**
 * The redirect of a match: what it does not name stays as the request has it. Absent statusCode is 302.
 *
 * A scheme brings its well-known port. Envoy leaves the request's port where it keeps the request's host, so the host is
 * written out where the route has a single one; else the port is named.
 */
export function redirectOf(
  { scheme, hostname, path, port, statusCode }: NonNullable<HTTPRouteFilter["requestRedirect"]>,
  hostnames: readonly string[],
  match: HttpMatch["path"],
): Redirect {
  const wellKnown = scheme === "https" ? 443 : scheme === "http" ? 80 : undefined;
  const [only] = hostnames;
  const single = hostnames.length === 1 && only?.startsWith("*") === false ? only : undefined;
  const authority = hostname ?? (wellKnown === undefined ? undefined : single);
  const wanted = port ?? wellKnown ?? (hostname === undefined ? undefined : "listener");
  return {
    kind: "redirect",
    path: path?.type === "ReplaceFullPath" ? (path.replaceFullPath ?? "/") : undefined,
    prefix: undefined,
    ...(path?.type === "ReplacePrefixMatch" && { pathRegex: replacePrefix(path.replacePrefixMatch, match) }),
    authority,
    scheme,
    port: wanted === wellKnown && authority !== undefined ? undefined : wanted,
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
  if (path.type === "ReplaceFullPath") {
    const substitution = literal(path.replaceFullPath ?? "/");
    return { path: undefined, pathRegex: { pattern: "^/.*$", substitution }, authority };
  }
  return { path: undefined, pathRegex: replacePrefix(path.replacePrefixMatch, match), authority };
}

/** `/foo` → `/` must make `/` of `/foo` and `/bar` of `/foo/bar`, never `//bar`, which Envoy's own prefix rewrite would. */
function replacePrefix(written = "", match: HttpMatch["path"]): { pattern: string; substitution: string } {
  const prefix = escaped((match?.value ?? "/").replace(/\/+$/, ""));
  const replacement = literal(written.replace(/\/+$/, ""));
  return replacement === ""
    ? { pattern: `^${prefix}/*(.*)$`, substitution: String.raw`/\1` }
    : { pattern: `^${prefix}(/.*|)$`, substitution: `${replacement}${String.raw`\1`}` };
}

function literal(text: string): string {
  return text.replaceAll("\\", String.raw`\\`);
}
