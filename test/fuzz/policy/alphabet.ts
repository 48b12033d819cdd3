/** The words that policies and requests are made of: few, so that they often meet. */

export const paths = ["/", "/a", "/a/b", "/a/b/c", "/admin", "/admin/x", "/api/v1/users", "/x.html", "/A"];
export const pathPatterns = [
  ...paths,
  "/a*",
  "/a/*",
  "/admin*",
  "*b",
  "*/x",
  "*.html",
  "*",
  "/api*",
  "/*",
  "*a*",
  "/{*}",
  "/{*}/b",
  "/a/{**}",
  "/api/{*}/users",
  "/{**}",
  "/a/b?x=1",
  "/a?*",
];
/** Spellings of `/admin` and others that proxies and servers read differently. */
export const oddPaths = [
  "/%61dmin",
  "//admin",
  "/x/../admin",
  "/admin/",
  "/admin?x=/a",
  "/./admin",
  "/a%2fb",
  "/a//b",
  "/a/b/../c",
  "/admin;x=1",
  "/x/..;/admin",
  "/x/%2e%2e;/admin",
  "/a%5cb",
  "/ADMIN",
  "/a/b?x=1",
  "/%2e/a",
  "/a/b%00",
  "/a#b",
  "/a%",
  "/%zz",
  "/a\\b",
  "/é",
  "/a b",
  "/{x}",
  "/a?b?c",
  "/api//users",
  "/api/v2/users",
  "/*",
  "/a/*",
];

export const methods = ["GET", "POST", "PUT", "DELETE", "OPTIONS"];
export const methodPatterns = [...methods, "P*", "*T", "*", "get"];

export const hosts = ["httpbin.foo", "httpbin.foo:8080", "HttpBin.FOO", "other.bar", "a.b.foo"];
export const hostPatterns = [
  "httpbin.foo",
  "HTTPBIN.foo",
  "*.foo",
  "httpbin.*",
  "*",
  "other.bar",
  "*:8080",
  "b.foo",
];

export const headerNames = [
  "x-role",
  "x-team",
  "user-agent",
  "accept",
  ":path",
  ":authority",
  ":method",
  "host",
  "x_role",
];
export const headerValues = ["admin", "user", "a,b", "", "Admin", "admin,user"];
export const headerPatterns = [
  "admin",
  "user",
  "ad*",
  "*er",
  "*",
  "a,b",
  "admin,user",
  "/a*",
  "httpbin.foo",
  "GET",
];

export const principals = [
  "cluster.local/ns/foo/sa/web",
  "cluster.local/ns/prod/sa/api",
  "old-td/ns/foo/sa/web",
  "new-td/ns/prod/sa/web",
  "other.org/ns/bar/sa/job",
  "cluster.local/ns/foo/sa/web-2",
  "cluster.local/ns/bar/sa/x/ns/foo/y",
  "cluster.local/path/ns/foo/k/v/sa/web",
];
export const principalPatterns = [
  ...principals.slice(0, 6),
  "cluster.local/*",
  "*/sa/web",
  "*",
  "cluster.local/ns/foo/*",
  "*-td/ns/foo/sa/web",
  "*/ns/foo/sa/web",
  "nobody",
];
export const namespacePatterns = ["foo", "prod", "bar", "f*", "*o", "*", "pr*d", "fo.", "ns"];
export const serviceAccounts = ["web", "foo/web", "prod/api", "bar/job", "web-2", "foo/we.", "api"];
export const trustDomainPatterns = ["cluster.local", "old-td", "new-td", "*-td", "other*", "*", "*.org"];

export const sourceIps = ["10.1.0.1", "10.20.3.4", "203.0.113.9", "192.168.7.7"];
export const ipBlocks = [
  "10.1.0.1",
  "10.0.0.0/8",
  "10.20.0.0/16",
  "203.0.113.0/24",
  "192.168.7.7/32",
  "0.0.0.0/0",
  "2001:db8::/32",
  "10.1.0.0/31",
];
export const forwardedFor = [
  "203.0.113.9",
  "1.2.3.4, 10.20.9.9",
  "junk",
  "10.1.0.1,",
  "203.0.113.9:80",
  "[::1]",
  "2001:db8::7",
  "010.1.0.1",
  " 10.1.0.1 ",
];

export const destinations = [
  { ip: "10.1.0.2", port: 8080 },
  { ip: "10.1.0.2", port: 9090 },
  { ip: "10.9.9.9", port: 80 },
];
export const ports = ["8080", "9090", "80", "0", "08080"];
export const destinationBlocks = ["10.1.0.2", "10.9.0.0/16", "10.0.0.0/8"];

export const serverNames = ["www.example.com", "api.example.com", "WWW.Example.com"];
export const serverNamePatterns = ["www.example.com", "*.example.com", "api.*", "*", "WWW.Example.com"];

export const issuers = ["https://a.example", "https://b.example/x"];
export const subjects = ["alice", "bob", "a/b"];
export const requestPrincipals = [
  "https://a.example/alice",
  "https://b.example/x/bob",
  "*",
  "https://a.example/*",
  "*/alice",
  "https://*",
  "*ob",
  "alice",
  "https://a.example",
  "https://a.example/al*",
  "*.example/bob",
  "*/*",
  "https://a.example/a/b",
];
export const claimKeys = ["[role]", "[scope]", "[group]", "[deep][role]", "[__proto__]", "[aud]", "[n]"];
export const claimPatterns = ["admin", "user", "ad*", "*er", "*", "read", "read write", "x", "5", "true"];
export const claimSets: readonly Readonly<Record<string, unknown>>[] = [
  { role: "admin", scope: "read write" },
  { role: ["user", "x"], aud: "api", azp: "x" },
  { group: ["admin", 5, ["user"]], deep: { role: "admin" }, scope: ["read"] },
  JSON.parse('{"__proto__": "admin", "role": 5, "n": 5, "aud": ["api", "web"], "azp": "cli"}') as Record<
    string,
    unknown
  >,
  { deep: "x", role: "", group: {}, scope: "" },
  {},
];
export const audiences = ["api", "web", "a*", "*"];
export const presenters = ["x", "cli", "*"];

export const metadataValues = { "envoy.filters.a.b": { c: "x", l: ["x", "y"], n: 5 } } as const;
export const metadataKeys = [
  "experimental.envoy.filters.a.b[c]",
  "experimental.envoy.filters.a.b[l]",
  "experimental.envoy.filters.a.b[z]",
];
export const metadataPatterns = ["x", "[x]", "*", "[*]", "[y]", "x*", "5"];
