import { decode, encode, type RecordType } from "dns-packet";
import { describe, expect, test } from "vitest";
import type { EndpointSlice, Service } from "../../../api/core.ts";
import { isMapped } from "./available.ts";
import { answerQuery } from "./dns/answer.ts";
import { buildZone } from "./dns/zone.ts";
import { podRange } from "./open.ts";
import { resolverFile } from "./sandbox.ts";
import { serviceRules } from "./service-rules.ts";

function service(name: string, spec: Service["spec"]): Service {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "demo" },
    ...(spec ? { spec } : {}),
  };
}

type Endpoint = NonNullable<EndpointSlice["endpoints"]>[number];

function slice(of: string, endpoints: readonly Endpoint[], port = 8080, name = "http"): EndpointSlice {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: `${of}-1`, namespace: "demo", labels: { "kubernetes.io/service-name": of } },
    addressType: "IPv4",
    ports: [{ name, port, protocol: "TCP" }],
    endpoints,
  };
}

const shop = service("shop", {
  clusterIP: "10.96.1.1",
  ports: [{ name: "http", port: 80, protocol: "TCP" }],
});
const ready = (ip: string): Endpoint => ({ addresses: [ip], conditions: { ready: true } });

describe("rules for Services", () => {
  test("each connection goes to one of the ready endpoints", () => {
    const rules = serviceRules(
      [shop],
      [
        slice("shop", [
          ready("10.77.1.1"),
          ready("10.77.1.2"),
          { addresses: ["10.77.1.3"], conditions: { ready: false } },
        ]),
      ],
    ).split("\n");
    expect(rules.filter((rule) => rule.includes("-d 10.96.1.1/32"))).toHaveLength(1);
    expect(rules.filter((rule) => rule.includes("--probability 0.5"))).toHaveLength(1);
    expect(rules.filter((rule) => rule.includes("-j DNAT")).map((rule) => rule.split(" ").at(-1))).toEqual([
      "10.77.1.1:8080",
      "10.77.1.2:8080",
    ]);
  });

  test("one that ends but still serves is used where none is ready", () => {
    const ending = {
      addresses: ["10.77.1.9"],
      conditions: { ready: false, serving: true, terminating: true },
    };
    expect(serviceRules([shop], [slice("shop", [ending])])).toContain("--to-destination 10.77.1.9:8080");
  });

  test("a Service without endpoints refuses, and one without an address has no rules", () => {
    expect(serviceRules([shop], [])).toContain(
      '-A FORWARD -d 10.96.1.1/32 -p tcp -m tcp --dport 80 -m comment --comment "demo/shop:http" -j REJECT',
    );
    const headless = service("db", { clusterIP: "None", ports: [{ port: 5432 }] });
    expect(serviceRules([headless], [slice("db", [ready("10.77.1.4")], 5432, "")])).not.toContain("DNAT");
  });

  test("a client of a Service with affinity stays with its endpoint", () => {
    const sticky = service("shop", { ...shop.spec, sessionAffinity: "ClientIP" });
    const rules = serviceRules([sticky], [slice("shop", [ready("10.77.1.1"), ready("10.77.1.2")])]);
    expect(rules.match(/--rcheck --seconds 10800 --reap/g)).toHaveLength(2);
    expect(rules.match(/ --set -j DNAT/g)).toHaveLength(2);
  });
});

describe("names", () => {
  const services = [
    shop,
    service("db", { clusterIP: "None", ports: [{ name: "sql", port: 5432 }] }),
    service("out", { type: "ExternalName", externalName: "api.example.com" }),
    service("inner", { type: "ExternalName", externalName: "shop.demo.svc.cluster.local" }),
    service("many", { clusterIP: "None", ports: [{ name: "x", port: 1 }] }),
  ];
  const zone = buildZone(services, [
    slice("db", [{ ...ready("10.77.1.4"), hostname: "db-0" }, ready("10.77.1.5")], 5432, "sql"),
    slice(
      "many",
      Array.from({ length: 200 }, (_, index) => ready(`10.77.2.${index + 1}`)),
      1,
      "x",
    ),
  ]);

  function ask(name: string, type: RecordType = "A", limit?: number) {
    const answer = answerQuery(encode({ type: "query", id: 7, questions: [{ type, name }] }), zone, limit);
    if (answer === undefined) throw new Error("no answer");
    const packet = decode(Buffer.from(answer));
    expect(packet.id).toBe(7);
    // The code of RFC 1035 §4.1.1.
    const code = (packet.flags ?? 0) & 0xf;
    return {
      code,
      cut: packet.flag_tc,
      data: (packet.answers ?? []).map((found) => ("data" in found ? found.data : "")),
    };
  }

  test.for<[name: string, type: RecordType, code: number, data: unknown[]]>([
    ["shop.demo.svc.cluster.local", "A", 0, ["10.96.1.1"]],
    ["SHOP.demo.SVC.cluster.local", "A", 0, ["10.96.1.1"]],
    ["shop.demo.svc.cluster.local", "AAAA", 0, []],
    [
      "_http._tcp.shop.demo.svc.cluster.local",
      "SRV",
      0,
      [{ priority: 0, weight: 100, port: 80, target: "shop.demo.svc.cluster.local" }],
    ],
    ["1.1.96.10.in-addr.arpa", "PTR", 0, ["shop.demo.svc.cluster.local"]],
    ["db.demo.svc.cluster.local", "A", 0, ["10.77.1.4", "10.77.1.5"]],
    ["db-0.db.demo.svc.cluster.local", "A", 0, ["10.77.1.4"]],
    ["10-77-1-5.db.demo.svc.cluster.local", "A", 0, ["10.77.1.5"]],
    ["4.1.77.10.in-addr.arpa", "PTR", 0, ["db-0.db.demo.svc.cluster.local"]],
    ["out.demo.svc.cluster.local", "A", 0, ["api.example.com"]],
    ["inner.demo.svc.cluster.local", "A", 0, ["shop.demo.svc.cluster.local", "10.96.1.1"]],
    ["10-77-1-5.demo.pod.cluster.local", "A", 0, ["10.77.1.5"]],
    ["demo.svc.cluster.local", "A", 0, []],
    ["nobody.demo.svc.cluster.local", "A", 3, []],
    ["example.com", "A", 5, []],
    ["__proto__", "A", 5, []],
  ])("%s %s", ([name, type, code, data]) => {
    expect(ask(name, type)).toMatchObject({ code, data, cut: false });
  });

  test("a long answer is cut over UDP and whole over TCP", () => {
    expect(ask("many.demo.svc.cluster.local", "A", 1432)).toMatchObject({ cut: true, data: [] });
    expect(ask("many.demo.svc.cluster.local").data).toHaveLength(200);
  });

  test("what is no question gets no answer", () => {
    expect(answerQuery(Buffer.from([1, 2, 3]), zone)).toBeUndefined();
    expect(answerQuery(encode({ type: "response", id: 1 }), zone)).toBeUndefined();
    // Opcode 2, a status request.
    const status = encode({ type: "query", id: 1, flags: 2 << 11, questions: [{ type: "A", name: "x" }] });
    expect((answerQuery(status, zone)?.[3] ?? 0) & 0xf).toBe(4);
  });
});

test("a pod looks names up in its own namespace first", () => {
  expect(resolverFile("demo", "10.77.0.2")).toBe(
    "search demo.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.77.0.2\noptions ndots:5\n",
  );
});

test("pods never have addresses of Services", () => {
  expect([podRange(77, "loopback"), podRange(77, "netns"), podRange(96, "netns")]).toEqual([
    "127.77",
    "10.77",
    "10.254",
  ]);
});

test("a user namespace may lack the sidecar's user", () => {
  expect(isMapped(1337, "         0          0 4294967295\n")).toBe(true);
  expect(isMapped(1337, "         0       1000          1\n")).toBe(false);
  expect(isMapped(1337, "0 1000 1\n1 100000 65536\n")).toBe(true);
});
