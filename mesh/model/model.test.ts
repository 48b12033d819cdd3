import { describe, expect, test } from "vitest";
import { type MutualTlsRule, mutualTlsMode, namespaceMutualTlsMode } from "./mutual-tls.ts";
import { qualifiedHost } from "./names.ts";
import { readNode } from "./proxy.ts";
import { protocolOf } from "./service.ts";

test.for([
  ["http", undefined, "http"],
  ["http-web", undefined, "http"],
  ["grpc-web-x", undefined, "grpc-web"],
  ["grpc-api", undefined, "grpc"],
  ["tcp-db", undefined, "tcp"],
  ["stuff", undefined, "undeclared"],
  ["", undefined, "undeclared"],
  ["tcp-x", "kubernetes.io/h2c", "http2"],
  ["http", "grpc", "grpc"],
  ["x", "kubernetes.io/wss", "https"],
] as const)("port `%s` with appProtocol %s speaks %s", ([name, appProtocol, protocol]) => {
  expect(protocolOf({ number: 80, name, appProtocol, transport: "TCP" })).toBe(protocol);
});

test("ports whose servers speak first are never sniffed, UDP is not TCP", () => {
  expect(protocolOf({ number: 3306, name: "", appProtocol: undefined, transport: undefined })).toBe("tcp");
  expect(protocolOf({ number: 53, name: "http", appProtocol: undefined, transport: "UDP" })).toBe("udp");
});

test("a host without dots is a Service of the object's namespace", () => {
  expect(qualifiedHost("shop", "demo", "cluster.local")).toBe("shop.demo.svc.cluster.local");
  expect(qualifiedHost("shop.demo", "demo", "cluster.local")).toBe("shop.demo");
  expect(qualifiedHost("*", "demo", "cluster.local")).toBe("*");
});

describe("the mode of mutual TLS", () => {
  const rule = (
    namespace: string,
    mode: MutualTlsRule["mode"],
    more: Partial<MutualTlsRule> = {},
  ): MutualTlsRule => ({
    namespace,
    selector: undefined,
    mode,
    byPort: new Map(),
    createdAt: "",
    ...more,
  });
  const shop = { namespace: "demo", labels: { app: "shop" } };
  const mode = (rules: MutualTlsRule[], port = 80) => mutualTlsMode(rules, "istio-system", shop, port);

  test("port beats workload beats namespace beats mesh beats PERMISSIVE", () => {
    const mesh = rule("istio-system", "STRICT");
    const namespace = rule("demo", "DISABLE");
    const workload = rule("demo", "STRICT", {
      selector: { app: "shop" },
      byPort: new Map([[81, "PERMISSIVE"]]),
    });
    expect(mode([])).toBe("PERMISSIVE");
    expect(mode([mesh])).toBe("STRICT");
    expect(mode([mesh, namespace])).toBe("DISABLE");
    expect(mode([mesh, namespace, workload])).toBe("STRICT");
    expect(mode([mesh, namespace, workload], 81)).toBe("PERMISSIVE");
  });

  test("UNSET inherits, the oldest counts, a selector in the root namespace is not mesh-wide", () => {
    expect(mode([rule("demo", "UNSET"), rule("istio-system", "STRICT")])).toBe("STRICT");
    expect(mode([rule("demo", "DISABLE"), rule("demo", "STRICT")])).toBe("DISABLE");
    expect(mode([rule("istio-system", "STRICT", { selector: { app: "shop" } })])).toBe("PERMISSIVE");
  });

  test("callers infer it from namespace and mesh alone", () => {
    const workload = rule("demo", "DISABLE", { selector: { app: "shop" } });
    expect(namespaceMutualTlsMode([workload, rule("istio-system", "STRICT")], "istio-system", "demo")).toBe(
      "STRICT",
    );
  });
});

describe("a node", () => {
  const id = "sidecar~10.0.0.7~shop-7d4.demo~demo.svc.cluster.local";

  test("of Istio's form is read with its metadata", () => {
    const metadata = {
      LABELS: { app: "shop", version: "v2", number: 3 },
      WORKLOAD_NAME: "shop",
      SERVICE_ACCOUNT: "seller",
      POD_PORTS:
        '[{"name":"http","containerPort":8080,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP"}]',
      INTERCEPTION_MODE: "NONE",
      HTTP_PROXY_PORT: "15081",
    };
    expect(readNode({ id, metadata })).toMatchObject({
      ip: "10.0.0.7",
      pod: "shop-7d4",
      namespace: "demo",
      serviceAccount: "seller",
      interception: "NONE",
      httpProxyPort: 15081,
      ports: [{ name: "http", number: 8080 }],
      facts: { workload: "shop", app: "shop", version: "v2", canonicalName: "shop", canonicalRevision: "v2" },
    });
  });

  test.for([
    "",
    "sidecar~~a.b~c",
    "ztunnel~10.0.0.7~a.b~c",
    "sidecar~10.0.0.7~pod~x",
    "sidecar~10.0.0.7~pod.ns",
  ])("`%s` is refused with a reason", (other) => {
    expect(readNode({ id: other })).toMatchObject({ refused: expect.stringContaining("is not of the form") });
  });

  test("with damaged metadata is read as far as it goes", () => {
    expect(readNode({ id, metadata: { LABELS: [1], POD_PORTS: "{", SERVICE_ACCOUNT: null } })).toMatchObject({
      labels: {},
      ports: [],
      serviceAccount: "default",
    });
  });
});
