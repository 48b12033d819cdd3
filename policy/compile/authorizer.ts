import type { Authorizer } from "../model.ts";

const second = 1000;
/** Istio's default: the authorizer's own limits decide. */
const defaultTimeout = 600 * second;

/** The authorizers of MeshConfig's `extensionProviders`, by name; those of other kinds (tracers, loggers) are left out. */
export function readAuthorizers(providers: readonly unknown[]): {
  readonly authorizers: ReadonlyMap<string, Authorizer>;
  /** Why a provider cannot be used, by name. */
  readonly invalid: ReadonlyMap<string, string>;
} {
  const authorizers = new Map<string, Authorizer>();
  const invalid = new Map<string, string>();
  for (const provider of providers) {
    const object = asObject(provider);
    const name = text(object.name);
    const http = object.envoyExtAuthzHttp;
    const grpc = object.envoyExtAuthzGrpc;
    if (http === undefined && grpc === undefined) continue;
    if (authorizers.has(name) || invalid.has(name)) {
      authorizers.delete(name);
      invalid.set(name, `two providers are called \`${name}\``);
      continue;
    }
    const read = readAuthorizer(name, http === undefined ? "grpc" : "http", asObject(http ?? grpc));
    if (typeof read === "string") invalid.set(name, read);
    else authorizers.set(name, read);
  }
  return { authorizers, invalid };
}

/** One provider, or what is wrong with it. */
function readAuthorizer(
  name: string,
  protocol: Authorizer["protocol"],
  spec: Readonly<Record<string, unknown>>,
): Authorizer | string {
  const host = text(spec.service).split("/").at(-1) ?? "";
  const port = Number(spec.port);
  const status =
    spec.statusOnError === undefined || spec.statusOnError === "" ? 403 : Number(spec.statusOnError);
  const pathPrefix = text(spec.pathPrefix);
  const timeout = spec.timeout === undefined ? defaultTimeout : readDuration(text(spec.timeout));
  const lists = {
    requestHeaders: texts(spec.includeRequestHeadersInCheck ?? spec.includeHeadersInCheck),
    headersToUpstream: texts(spec.headersToUpstreamOnAllow),
    headersToClientOnDeny: texts(spec.headersToDownstreamOnDeny),
    headersToClientOnAllow: texts(spec.headersToDownstreamOnAllow),
  };
  const body = spec.includeRequestBodyInCheck;
  if (name === "") return "a provider needs a name";
  if (host === "" || host.includes("*")) return "`service` must be a host name";
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return "`port` must be 1 to 65535";
  if (!Number.isInteger(status) || status < 100 || status > 599)
    return "`statusOnError` must be an HTTP status";
  if (pathPrefix !== "" && !pathPrefix.startsWith("/")) return "`pathPrefix` must begin with a slash";
  if (timeout === undefined || timeout <= 0) return "`timeout` must be a duration such as `1s`";
  if (Object.values(lists).flat().includes("*")) return "a lone `*` names no header";
  return {
    name,
    protocol,
    host,
    port,
    timeout,
    failOpen: spec.failOpen === true,
    statusOnError: status,
    pathPrefix,
    clearRouteCache: spec.clearRouteCache === true,
    addedHeaders: headerMap(spec.includeAdditionalHeadersInCheck),
    ...lists,
    body: body === undefined ? undefined : readBody(asObject(body)),
  };
}

function readBody(spec: Readonly<Record<string, unknown>>): Authorizer["body"] {
  return {
    most: Number(spec.maxRequestBytes ?? 0),
    partial: spec.allowPartialMessage === true,
    raw: spec.packAsBytes === true,
  };
}

/** `1.5s`, `200ms`, `1m`; undefined where it is none. */
function readDuration(duration: string): number | undefined {
  const units: Readonly<Record<string, number>> = { ms: 1, s: second, m: 60 * second, h: 3600 * second };
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== duration) return undefined;
  return parts.reduce((sum, [, amount, unit = ""]) => sum + Number(amount) * (units[unit] ?? 0), 0);
}

function headerMap(value: unknown): Record<string, string> {
  return Object.fromEntries(Object.entries(asObject(value)).map(([name, text]) => [name, String(text)]));
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
