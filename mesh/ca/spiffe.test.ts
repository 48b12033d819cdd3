import { describe, expect, test } from "vitest";
import { readPeerIdentity } from "./spiffe.ts";
import { workloadFacts, workloadName } from "./workload-facts.ts";

test("one SPIFFE URI is an identity", () => {
  expect(readPeerIdentity("URI:spiffe://cluster.local/ns/shop/sa/cart")).toEqual({
    trustDomain: "cluster.local",
    namespace: "shop",
    serviceAccount: "cart",
  });
});

describe("a peer is nobody", () => {
  test.for([
    undefined,
    "",
    "DNS:spiffe://cluster.local/ns/shop/sa/cart",
    "email:spiffe://cluster.local/ns/shop/sa/cart",
    "URI:spiffe://cluster.local/ns/shop/sa/cart, URI:spiffe://cluster.local/ns/shop/sa/admin",
    "DNS:x, URI:spiffe://cluster.local/ns/shop/sa/cart",
    "URI:spiffe://cluster.local/ns/shop/sa/cart, DNS:x",
    'URI:"spiffe://cluster.local/ns/shop/sa/cart"',
    "URI:spiffe://cluster.local/ns/shop/sa/cart\0",
    "URI:spiffe://cluster.local/ns/shop/sa/cart\0.evil",
    "URI:spiffe://cluster.local/ns/shop/../sa/cart",
    "URI:spiffe://cluster.local/ns/a/b/sa/cart",
    "URI:https://cluster.local/ns/shop/sa/cart",
  ])("with SANs %j (S36)", (names) => {
    expect(readPeerIdentity(names)).toBeUndefined();
  });
});

describe("a workload", () => {
  const owner = (kind: string, name: string) => ({
    ownerReferences: [{ apiVersion: "x", kind, name, uid: "u", controller: true }],
  });

  test.for<[string, Parameters<typeof workloadName>[0]]>([
    [
      "cart",
      { name: "cart-abc-1", labels: { "pod-template-hash": "abc" }, ...owner("ReplicaSet", "cart-abc") },
    ],
    ["frontend", { name: "frontend-x", ...owner("ReplicaSet", "frontend") }],
    ["db", { name: "db-0", ...owner("StatefulSet", "db") }],
    ["report", { name: "report-28123456-x", ...owner("Job", "report-28123456") }],
    ["alone", { name: "alone" }],
    ["made", { generateName: "made-" }],
  ])("is called %s", ([expected, metadata]) => {
    expect(workloadName(metadata)).toBe(expected);
  });

  test("has app and version by the recommended labels first", () => {
    const labels = { app: "a", "app.kubernetes.io/name": "b", version: "1" };
    expect(workloadFacts({ metadata: { name: "p", labels } })).toEqual({
      workload: "p",
      app: "b",
      version: "1",
    });
  });
});
