/** Draws configurations and the requests that are asked of them. */
import type {
  HttpMatchRequest,
  HttpRoute,
  StringMatch,
  VirtualServiceSpec,
} from "../../../api/generated/virtualservices.ts";
import type { RequestOptions } from "../../../mesh/explain/request.ts";
import type { Random } from "../policy/random.ts";
import * as words from "./alphabet.ts";

/** A VirtualService as it is drawn; the names of its routes say which is which. */
export interface DrawnTable {
  readonly name: string;
  readonly createdAt: string;
  readonly namespace: string;
  readonly spec: VirtualServiceSpec;
}

export interface Config {
  readonly tables: readonly DrawnTable[];
  /** Hosts whose subsets are declared. */
  readonly subsets: readonly string[];
  /** Services without endpoints for now. */
  readonly asleep: readonly string[];
}

export interface Asked extends RequestOptions {
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
}

export function drawConfig(random: Random): Config {
  const tables = Array.from({ length: random.int(1, 4) }, (_, index) => drawTable(random, index));
  return {
    tables,
    subsets: ["shop", "cart", "pay", "any"].filter(() => random.chance(0.85)),
    asleep: random.chance(0.1) ? [random.pick(["shop", "cart"])] : [],
  };
}

function drawTable(random: Random, index: number): DrawnTable {
  const hosts = [...new Set(random.some(words.hostWords, 1, 2))];
  return {
    name: `table-${index}`,
    namespace: words.home,
    createdAt: `2026-01-01T00:00:${String(random.int(10, 59))}Z`,
    spec: {
      hosts,
      ...(random.chance(0.25) && { gateways: random.pick([["mesh"], ["mesh", "edge"], ["edge"]]) }),
      http: Array.from({ length: random.int(1, 5) }, (_, at) => drawRoute(random, `r${index}-${at}`)),
    },
  };
}

function drawRoute(random: Random, name: string): HttpRoute {
  const match = random.chance(0.85)
    ? Array.from({ length: random.int(1, 3) }, () => drawMatch(random))
    : undefined;
  const base = { ...(random.chance(0.9) && { name }), ...(match && { match }) };
  const kind = random.next();
  if (kind < 0.12)
    return { ...base, directResponse: { status: random.pick([200, 403, 503]), body: { string: "no" } } };
  if (kind < 0.27) return { ...base, redirect: drawRedirect(random) };
  const count = random.pick([1, 1, 1, 2, 2, 3]);
  const weights = count === 1 ? [undefined] : drawWeights(random, count);
  return {
    ...base,
    route: weights.map((weight) => ({
      destination: drawDestination(random),
      ...(weight !== undefined && { weight }),
    })),
    ...(random.chance(0.3) && { timeout: random.pick(["0s", "1s", "2.5s", "15s", "250ms"]) }),
    ...(random.chance(0.35) && { retries: drawRetries(random) }),
    ...(random.chance(0.25) && { rewrite: drawRewrite(random) }),
    ...(random.chance(0.15) && { fault: drawFault(random) }),
    ...(random.chance(0.15) && {
      mirror: { host: "cart", ...(random.chance(0.5) && { subset: "v3" }) },
      mirrorPercentage: { value: random.pick([0, 100, 100]) },
    }),
  };
}

function drawWeights(random: Random, count: number): number[] {
  const weights = Array.from({ length: count }, () => random.pick([0, 10, 25, 50, 100]));
  return weights.some((weight) => weight > 0) || random.chance(0.1) ? weights : [100, ...weights.slice(1)];
}

function drawDestination(random: Random) {
  const host = random.pick([
    "shop",
    "cart",
    "cart.demo.svc.cluster.local",
    "pay.other.svc.cluster.local",
    "empty.other.svc.cluster.local",
    "nowhere",
  ]);
  const subset = random.pick(["", "", "v1", "v2", "v3", "all"]);
  const port = host === "shop" ? random.pick([80, 8080, 0]) : random.pick([80, 0]);
  return {
    host,
    ...(subset !== "" && { subset }),
    ...(port !== 0 && { port: { number: port } }),
  };
}

function drawRedirect(random: Random) {
  return {
    ...(random.chance(0.6) && { uri: random.pick(["/new", "/new?x=1", "/"]) }),
    ...(random.chance(0.5) && { authority: random.pick(["elsewhere.example", "shop"]) }),
    ...(random.chance(0.3) && { scheme: random.pick(["https", "http"]) }),
    ...(random.chance(0.3) && { port: random.pick([443, 8443, 80]) }),
    ...(random.chance(0.5) && { redirectCode: random.pick([301, 302, 303, 307, 308]) }),
  };
}

function drawRetries(random: Random) {
  return {
    attempts: random.pick([0, 1, 2, 3]),
    ...(random.chance(0.6) && {
      retryOn: random.pick(["5xx", "gateway-error", "503", "connect-failure,503", "retriable-4xx", "reset"]),
    }),
    ...(random.chance(0.3) && { perTryTimeout: random.pick(["500ms", "3s"]) }),
  };
}

function drawRewrite(random: Random) {
  if (random.chance(0.3))
    return {
      uriRegexRewrite: random.pick([
        { match: "/api/(v[0-9]+)(/.*)?", rewrite: "/\\1" },
        { match: "a", rewrite: "b" },
        { match: "^/([a-z]+)", rewrite: "/x-\\1-\\0" },
      ]),
    };
  return {
    ...(random.chance(0.7) && { uri: random.pick(["/", "/v2", "/v2/", "/deep/er"]) }),
    ...(random.chance(0.5) && { authority: random.pick(["inside.example", "cart:80"]) }),
  };
}

function drawFault(random: Random) {
  const percentage = () => ({ value: random.pick([0, 50, 100]) });
  return {
    ...(random.chance(0.6) && { abort: { httpStatus: random.pick([418, 500]), percentage: percentage() } }),
    ...(random.chance(0.5) && { delay: { fixedDelay: "5ms", percentage: percentage() } }),
  };
}

function drawMatch(random: Random): HttpMatchRequest {
  const match: Record<string, unknown> = {};
  if (random.chance(0.65)) {
    match.uri = drawUri(random);
    if (random.chance(0.25)) match.ignoreUriCase = random.chance(0.8);
  }
  if (random.chance(0.3)) match.headers = drawNamed(random, words.headerNames);
  if (random.chance(0.18)) match.withoutHeaders = drawNamed(random, words.headerNames);
  if (random.chance(0.2)) match.queryParams = drawNamed(random, words.queryNames);
  if (random.chance(0.18))
    match.method = random.pick([{ exact: "GET" }, { exact: "POST" }, { regex: "GET|PUT" }, { prefix: "P" }]);
  if (random.chance(0.08))
    match.scheme = random.pick([{ exact: "http" }, { exact: "https" }, { prefix: "ht" }]);
  if (random.chance(0.1)) {
    const authority = random.pick(words.authorities);
    match.authority = random.pick([
      { exact: authority },
      { prefix: authority.slice(0, 4) },
      { regex: ".*\\.(com|local)" },
    ]);
  }
  if (random.chance(0.12)) match.port = random.pick([80, 8080, 50_051]);
  if (random.chance(0.1)) match.gateways = random.pick([["mesh"], ["edge"], ["mesh", "edge"]]);
  if (random.chance(0.1))
    match.sourceLabels = random.pick([{ app: "caller" }, { app: "caller", tier: "web" }, { app: "other" }]);
  if (random.chance(0.1)) match.sourceNamespace = random.pick(["demo", "other"]);
  return match;
}

function drawUri(random: Random): StringMatch {
  const kind = random.next();
  if (kind < 0.35) return { exact: random.pick(words.exactPaths) };
  return kind < 0.75 ? { prefix: random.pick(words.prefixes) } : { regex: random.pick(words.pathRegexes) };
}

function drawNamed(random: Random, names: readonly string[]): Record<string, StringMatch> {
  const chosen = new Set(random.some(names, 1, 2));
  const values = names === words.queryNames ? words.queryValues : words.headerValues;
  return Object.fromEntries(
    Array.from(chosen, (name) => {
      const kind = random.next();
      const value = random.pick(values);
      if (kind < 0.4) return [name, { exact: value }];
      if (kind < 0.6) return [name, { prefix: value.slice(0, 2) || "a" }];
      return [name, kind < 0.85 ? { regex: random.pick(words.valueRegexes) } : {}];
    }),
  );
}

export function drawRequest(random: Random): Asked {
  if (random.chance(0.06)) return drawBytes(random);
  const [host, ports] = random.pick(words.askedHosts);
  const port = random.pick(ports);
  const headers: [string, string][] = random
    .some(words.headerNames, 0, 3)
    .map((name) => [name, random.pick(words.headerValues)]);
  if (random.chance(0.2)) headers.push(["x-answer", random.pick(["503", "500", "404", "409"])]);
  const path = random.pick(words.paths) + random.pick(words.queries);
  return {
    url: `http://${host}${port === 80 ? "" : `:${port}`}${path}`,
    method: random.pick(words.methods),
    headers,
    http2: random.chance(0.1),
  };
}

/** Connections without requests, and TLS that the proxy only looks at. */
function drawBytes(random: Random): Asked {
  const [host, port] = random.pick([
    ["db", 5432],
    ["any", 7000],
    ["db.demo.svc.cluster.local", 5432],
  ] as const);
  if (random.chance(0.4))
    return {
      url: `https://${host}:${port}/`,
      headers: [],
      alpn: random.pick([["h2", "http/1.1"], ["http/1.1"], []]),
    };
  return { url: `tcp://${host}:${port}`, headers: [] };
}
