import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../api/resource.ts";
import { ListenerSchema } from "../../envoy/generated/envoy/config/listener/v3/listener_pb.js";
import { RedirectActionSchema } from "../../envoy/generated/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../envoy/generated/envoy/config/route/v3/route_pb.js";
import { snapshotOf } from "../../kube/snapshot.ts";
import { createBuilder } from "../build/builder.ts";
import { noPolicies } from "../build/workload-filters.ts";
import { defaultSettings } from "../model/model.ts";
import { readNode } from "../model/proxy.ts";
import { createTranslator } from "../translate/translate.ts";
import { explain } from "./explain.ts";
import { type Connection, filterChainFor } from "./filter-chain.ts";
import { explainRedirect } from "./redirect.ts";
import { authorityOf, requestOf } from "./request.ts";
import { resourcesOf } from "./resources.ts";
import { substitute } from "./rewrite.ts";
import { virtualHostFor } from "./virtual-host.ts";

const plain: Connection = {
  destination: { address: "10.96.0.1", port: 443 },
  source: { address: "10.1.0.9", port: 40_000 },
  tls: false,
  sni: "",
  protocols: [],
};

function chosen(
  chains: MessageInitShape<typeof ListenerSchema>["filterChains"],
  connection: Partial<Connection>,
) {
  const listener = create(ListenerSchema, {
    filterChains: chains ?? [],
    defaultFilterChain: { name: "default" },
  });
  return filterChainFor(listener, { ...plain, ...connection })?.name;
}

describe("the filter chain", () => {
  const bySni = [
    { name: "exact", filterChainMatch: { serverNames: ["a.example.com"] } },
    { name: "wide", filterChainMatch: { serverNames: ["*.example.com"] } },
    { name: "wider", filterChainMatch: { serverNames: ["*.com"] } },
  ];

  test.for([
    ["A.example.com", "exact"],
    ["b.example.com", "wide"],
    ["b.c.example.com", "wide"],
    ["other.com", "wider"],
    ["other.org", "default"],
    ["", "default"],
  ] as const)("of server name `%s` is %s", ([sni, name]) => {
    expect(chosen(bySni, { tls: true, sni })).toBe(name);
  });

  test("is that of the port before that of the name, without a way back", () => {
    const chains = [
      { name: "port", filterChainMatch: { destinationPort: 443, serverNames: ["x.example.com"] } },
      { name: "name", filterChainMatch: { serverNames: ["a.example.com"] } },
    ];
    expect(chosen(chains, { tls: true, sni: "a.example.com" })).toBe("default");
    expect(
      chosen(chains, { tls: true, sni: "a.example.com", destination: { address: "10.0.0.1", port: 80 } }),
    ).toBe("name");
  });

  test("is that of the longest prefix of addresses, and of TLS only for TLS", () => {
    const chains = [
      { name: "all", filterChainMatch: { prefixRanges: [{ addressPrefix: "10.0.0.0", prefixLen: 8 }] } },
      { name: "narrow", filterChainMatch: { prefixRanges: [{ addressPrefix: "10.96.0.0", prefixLen: 16 }] } },
    ];
    expect(chosen(chains, {})).toBe("narrow");
    const byTransport = [
      { name: "tls", filterChainMatch: { transportProtocol: "tls" } },
      { name: "istio", filterChainMatch: { transportProtocol: "tls", applicationProtocols: ["istio"] } },
    ];
    expect(chosen(byTransport, {})).toBe("default");
    expect(chosen(byTransport, { tls: true, protocols: ["istio", "h2"] })).toBe("istio");
    expect(chosen(byTransport, { tls: true, protocols: ["h2"] })).toBe("tls");
  });
});

test.for([
  ["shop", "exact"],
  ["SHOP:80", "exact"],
  ["a.shop.example", "suffix"],
  ["b.a.shop.example", "suffix"],
  ["shop.example", "short suffix"],
  ["shop.elsewhere", "prefix"],
  ["nobody", "any"],
] as const)("the virtual host of `%s` is the one named %s", ([authority, name]) => {
  const table = create(RouteConfigurationSchema, {
    ignorePortInHostMatching: true,
    virtualHosts: [
      { name: "any", domains: ["*"] },
      { name: "prefix", domains: ["shop.*"] },
      { name: "short suffix", domains: ["*.example"] },
      { name: "suffix", domains: ["*.shop.example"] },
      { name: "exact", domains: ["shop"] },
    ],
  });
  expect(virtualHostFor(table, authority)?.name).toBe(name);
});

test("a redirect keeps the query and drops the port of the scheme that it leaves", () => {
  const request = { method: "GET", scheme: "http", authority: "shop:80", path: "/old?x=1", headers: [] };
  const action = create(RedirectActionSchema, {
    schemeRewriteSpecifier: { case: "schemeRedirect", value: "https" },
    pathRewriteSpecifier: { case: "pathRedirect", value: "/new" },
  });
  expect(explainRedirect(action, request, "/old")).toEqual({ status: 301, location: "https://shop/new?x=1" });
});

test("a pattern is replaced wherever it fits, groups by number, and not again behind itself", () => {
  const rule = (pattern: string, substitution: string) => ({ pattern: { regex: pattern }, substitution });
  const rewrite = (pattern: string, substitution: string, text: string) =>
    substitute(rule(pattern, substitution) as Parameters<typeof substitute>[0], text);
  expect(rewrite("/api/(v[0-9]+)", "/\\1", "/api/v2/x")).toBe("/v2/x");
  expect(rewrite("a", "b", "/a/a")).toBe("/b/b");
  expect(rewrite(".*", "/v2", "/api")).toBe("/v2");
});

test("a URL is the request that it means", () => {
  expect(requestOf("http://Shop:8080/a/../b?c#d")).toMatchObject({
    host: "shop",
    port: 8080,
    path: "/a/../b?c",
  });
  expect(requestOf("https://shop/")).toMatchObject({
    port: 443,
    tls: "tls",
    sni: "shop",
    alpn: ["h2", "http/1.1"],
  });
  expect(requestOf("tcp://10.0.0.1:5432")).toMatchObject({ port: 5432, tls: "plaintext", sni: "" });
  expect(authorityOf(requestOf("http://shop:8080/"))).toBe("shop:8080");
  expect(() => requestOf("tcp://db")).toThrow("names no port");
  expect(() => requestOf("ftp://db/")).toThrow("is no URL of the form");
});

describe("a shielded route", () => {
  const wayOf = (weight: number, method: string) => {
    const path = join(import.meta.dirname, "../testdata/shield.in.yaml");
    const [node, ...objects] = parseAllDocuments(
      readFileSync(path, "utf8")
        .replaceAll("weight: 80", `weight: ${100 - weight}`)
        .replaceAll("weight: 20", `weight: ${weight}`),
    ).map((document): unknown => document.toJS());
    const proxy = readNode(node as Parameters<typeof readNode>[0]);
    if ("refused" in proxy) throw new Error(proxy.refused);
    const telemetry = {
      inboundAccessLogs: () => [],
      outboundAccessLogs: () => [],
      upstreamAttemptLogs: () => [],
    };
    const { model } = createTranslator(defaultSettings)(snapshotOf(objects as KubeObject[]));
    const resources = resourcesOf(
      createBuilder({ policyFilters: () => noPolicies, telemetry }).viewOf(model, proxy),
    );
    const [listener] = resources.listeners.filter(
      ({ name }) => name.includes("http_proxy") || name.endsWith("_15080"),
    );
    if (listener === undefined) throw new Error("the proxy has no HTTP proxy listener");
    const arrival = { listener, destination: plain.destination, source: plain.source, how: "asked" };
    return explain(resources, arrival, requestOf("http://shop/", { method, headers: [], tls: "plaintext" }));
  };
  const [primary, canary] = ["shop-primary", "shop-canary"].map(
    (name) => `outbound|80||${name}.demo.svc.cluster.local`,
  );

  test("tells the canary's share by the runtime key, and who answers for it", () => {
    const { weights, shield, reason, cluster } = wayOf(20, "GET");
    expect(weights.map((entry) => [entry.cluster, entry.share])).toEqual([
      [primary, 0.8],
      [canary, 0.2],
    ]);
    expect(shield).toEqual({ cluster: canary, share: 0.2, rescuedBy: primary, hangAfter: 300 });
    expect(cluster).toBe(primary);
    expect(reason).toContain(`failures of ${canary} answered by ${primary}`);
  });

  test("is none for other methods, and at weight 0", () => {
    expect(wayOf(20, "POST")).toMatchObject({ shield: null, cluster: primary });
    const none = wayOf(0, "GET");
    expect(none).toMatchObject({ shield: null, cluster: primary });
    expect(none.reason).toContain("takes 0 % of the requests");
  });
});
