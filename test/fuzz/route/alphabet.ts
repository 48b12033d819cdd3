/** The words that configurations and requests are made of: few, so that they meet. */

export const domain = "cluster.local";
/** Where the caller lives. */
export const home = "demo";

export interface ServiceWord {
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly { readonly number: number; readonly name: string }[];
  readonly versions: readonly string[];
}

export const services: readonly ServiceWord[] = [
  {
    name: "shop",
    namespace: home,
    ports: [
      { number: 80, name: "http" },
      { number: 8080, name: "http-alt" },
    ],
    versions: ["v1", "v2"],
  },
  { name: "cart", namespace: home, ports: [{ number: 80, name: "http-web" }], versions: ["v1", "v2", "v3"] },
  { name: "stock", namespace: home, ports: [{ number: 50_051, name: "grpc" }], versions: ["v1"] },
  { name: "pay", namespace: "other", ports: [{ number: 80, name: "http2" }], versions: ["v1", "v2"] },
  { name: "empty", namespace: "other", ports: [{ number: 80, name: "http" }], versions: [] },
  { name: "db", namespace: home, ports: [{ number: 5432, name: "tcp-db" }], versions: ["v1"] },
  { name: "any", namespace: home, ports: [{ number: 7000, name: "stuff" }], versions: ["v1", "v2"] },
];

/** Hosts of VirtualServices: as users write them. */
export const hostWords = [
  "shop",
  "shop.demo.svc.cluster.local",
  "cart",
  "cart.demo.svc.cluster.local",
  "stock",
  "any",
  "pay.other.svc.cluster.local",
  "empty.other.svc.cluster.local",
  "*.other.svc.cluster.local",
  "*.svc.cluster.local",
  "api.example.com",
  "*.example.com",
] as const;

/** Hosts of requests, with their ports. */
export const askedHosts: readonly (readonly [string, readonly number[]])[] = [
  ["shop", [80, 80, 80, 8080]],
  ["shop.demo", [80, 8080]],
  ["shop.demo.svc", [80]],
  ["shop.demo.svc.cluster.local", [80, 8080]],
  ["SHOP", [80]],
  ["cart", [80]],
  ["cart.demo.svc.cluster.local", [80]],
  ["stock", [50_051]],
  ["stock.demo.svc.cluster.local", [50_051]],
  ["any", [7000]],
  ["pay.other", [80]],
  ["pay.other.svc.cluster.local", [80]],
  ["empty.other", [80]],
  ["api.example.com", [80]],
  ["www.example.com", [80]],
  ["nobody.localhost", [80]],
];

export const paths = [
  "/",
  "/api",
  "/api/",
  "/api/v1",
  "/api/v1/items",
  "/apix",
  "/API/V1",
  "/Api",
  "/shop/cart",
  "/static/app.js",
  "/static/app.css",
  "/a/../api/v1",
  "/./api",
  "/x//y",
  "/api%2Fv1",
  "/a%20b",
] as const;
export const queries = [
  "",
  "",
  "?q=1",
  "?q=1&q=2",
  "?v=beta",
  "?page=10&q=",
  "?q",
  "?Q=1",
  "?v=b%65ta",
  "?v=beta&page=7",
] as const;
export const exactPaths = [
  "/",
  "/api",
  "/api/",
  "/api/v1",
  "/api/v1/items",
  "/static/app.js",
  "/a b",
] as const;
export const prefixes = ["/", "/api", "/api/", "/api/v1", "/static", "/shop", "/A", "/x"] as const;
export const pathRegexes = [
  "/api/v[0-9]+",
  "/api.*",
  "/(api|shop)/.*",
  "/static/.*\\.js",
  ".*",
  "/[a-z]+",
  "(?i)/api/v1",
] as const;

export const headerNames = ["x-user", "X-Env", "end-user", "x-num"] as const;
export const headerValues = ["alice", "bob", "ALICE", "alice-1", "", "42", "a,b"] as const;
export const valueRegexes = ["al.*", "(alice|bob)", "[0-9]+", ".+", "", ".*-1"] as const;
export const queryNames = ["q", "v", "page"] as const;
export const queryValues = ["1", "2", "beta", "10", ""] as const;
export const methods = ["GET", "GET", "GET", "POST", "PUT", "DELETE", "OPTIONS"] as const;
export const authorities = [
  "shop",
  "shop.demo.svc.cluster.local",
  "cart",
  "api.example.com",
  "shop:8080",
  "pay.other",
] as const;
